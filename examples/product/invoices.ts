import type { EntityManager } from 'typeorm'
import {
  customers,
  type Invoice,
  type InvoiceLine,
  invoiceLines,
  invoices,
  invoiceTotals,
  projects
} from './entities.js'
import type { Page } from './page.js'
import { found, Problem } from './problem.js'

export interface NewInvoice {
  customerId: string
  projectId?: string | null
  note?: string | null
  lines: Array<Omit<InvoiceLine, 'invoiceId' | 'position'>>
}

export interface WholeInvoice extends Invoice {
  lines: InvoiceLine[]
}

/** Newest first, with totals. */
export function listInvoices(manager: EntityManager, { before, limit }: Page): Promise<Invoice[]> {
  const query = withTotals(manager).orderBy('invoice.id', 'DESC').limit(limit)
  return (before === undefined ? query : query.where('invoice.id < :before', { before })).getMany()
}

/** With lines and totals; 404 when there is none. */
export async function readInvoice(manager: EntityManager, id: string): Promise<WholeInvoice> {
  const invoice = found(await withTotals(manager).where('invoice.id = :id', { id }).getOne(), 'invoice', id)
  const lines = await manager.find(invoiceLines, { where: { invoiceId: id }, order: { position: 'ASC' } })
  return { ...invoice, lines }
}

/** Issues an invoice in its customer's currency; the database numbers it. Call it in a transaction: all of it, or nothing. */
export async function issueInvoice(manager: EntityManager, wish: NewInvoice): Promise<WholeInvoice> {
  const { customerId, projectId = null, note = null, lines } = wish
  const customer = await manager.findOneBy(customers, { id: customerId })
  if (!customer) throw new Problem(422, 'UNKNOWN_CUSTOMER', `There is no customer ${customerId}.`)
  if (projectId !== null && !(await manager.existsBy(projects, { id: projectId }))) {
    throw new Problem(422, 'UNKNOWN_PROJECT', `There is no project ${projectId}.`)
  }
  const { currency } = customer
  const { id } = await manager.save(invoices, { customerId, projectId, note, currency, status: 'issued' as const })
  await manager.insert(
    invoiceLines,
    lines.map((line, index) => ({ ...line, invoiceId: id, position: index + 1 }))
  )
  return readInvoice(manager, id)
}

/** Marks an issued invoice as paid. Call it in a transaction: the lock keeps two payments from both succeeding. */
export async function payInvoice(manager: EntityManager, id: string): Promise<WholeInvoice> {
  const lock = { mode: 'pessimistic_write' } as const
  const { number, status } = found(await manager.findOne(invoices, { where: { id }, lock }), 'invoice', id)
  if (status !== 'issued') {
    throw new Problem(409, 'INVOICE_STATE', `Invoice ${number ?? id} is ${status}; only an issued one can be paid.`)
  }
  await manager.update(invoices, { id }, { status: 'paid' })
  return readInvoice(manager, id)
}

function withTotals(manager: EntityManager) {
  return manager
    .createQueryBuilder(invoices, 'invoice')
    .leftJoinAndMapOne('invoice.totals', invoiceTotals.options.name, 'totals', 'totals.invoiceId = invoice.id')
}
