import type { Tenants } from 'saasctl/router'
import { type Customer, customers, invoices, projects, users } from '../entities.js'
import { issueInvoice } from '../invoices.js'
import { addProject } from '../projects.js'

/** What a tenant shall have to look at. */
export interface Furniture {
  owner: { name: string; email: string }
  customer: Omit<Customer, 'id'>
  work: { description: string; unitPrice: string }
  projects: string[]
}

export interface Furnished {
  userId: string
  customerId: string
  /** An invoice that can still be paid. */
  openInvoiceId: string
}

/** A job, as products have them beside requests: it works in one tenant's database. Repeating it adds what is missing. */
export function furnish(tenants: Tenants, tenantId: string, furniture: Furniture): Promise<Furnished> {
  const { owner, customer, work } = furniture
  return tenants.use(tenantId, ({ tenant, transaction }) =>
    transaction(async manager => {
      const { email } = owner
      const user =
        (await manager.findOneBy(users, { email })) ?? (await manager.save(users, { ...owner, role: 'owner' as const }))
      const buyer =
        (await manager.findOneBy(customers, { email: customer.email })) ?? (await manager.save(customers, customer))
      const customerId = buyer.id
      const lines = [{ ...work, quantity: '1', taxRate: '0.19' }]
      const open =
        (await manager.findOneBy(invoices, { status: 'issued' })) ??
        (await issueInvoice(manager, { customerId, lines }))
      for (const name of furniture.projects) {
        if (!(await manager.existsBy(projects, { name }))) await addProject(manager, tenant, { name, customerId })
      }
      return { userId: user.id, customerId, openInvoiceId: open.id }
    })
  )
}
