import { EntitySchema } from 'typeorm'

// What the program knows of each tenant's tables (tenant-migrations/). Plain types and schemas: one set, built once, serves
// every tenant. Identifiers and amounts are strings, because a JavaScript number holds neither exactly.

export interface User {
  id: string
  email: string
  name: string
  role: 'owner' | 'member' | 'guest'
  active: boolean
}

export interface Customer {
  id: string
  name: string
  email: string
  country: string | null
  currency: string
}

export interface Project {
  id: string
  name: string
  status: 'open' | 'paused' | 'done'
  customerId: string | null
}

export interface Invoice {
  id: string
  /** Given by the database when the invoice is issued, without gaps, in each tenant from 1. */
  number: string | null
  status: 'draft' | 'issued' | 'paid' | 'void'
  customerId: string
  projectId: string | null
  currency: string
  issuedOn: string | null
  dueOn: string | null
  note: string | null
  totals?: InvoiceTotals | null
}

export interface InvoiceLine {
  invoiceId: string
  position: number
  description: string
  quantity: string
  unitPrice: string
  taxRate: string
}

export interface InvoiceTotals {
  invoiceId: string
  net: string
  tax: string
  total: string
}

const id = { type: 'bigint', primary: true, generated: 'increment' } as const

export const users = new EntitySchema<User>({
  name: 'user',
  tableName: 'users',
  columns: {
    id,
    email: { type: 'varchar' },
    name: { type: 'varchar' },
    role: { type: 'varchar' },
    active: { type: 'boolean', default: true }
  }
})

export const customers = new EntitySchema<Customer>({
  name: 'customer',
  tableName: 'customers',
  columns: {
    id,
    name: { type: 'varchar' },
    email: { type: 'varchar' },
    country: { type: 'char', nullable: true },
    currency: { type: 'char' }
  }
})

export const projects = new EntitySchema<Project>({
  name: 'project',
  tableName: 'projects',
  columns: {
    id,
    name: { type: 'varchar' },
    status: { type: 'varchar' },
    customerId: { name: 'customer_id', type: 'bigint', nullable: true }
  }
})

export const invoices = new EntitySchema<Invoice>({
  name: 'invoice',
  tableName: 'invoices',
  columns: {
    id,
    number: { type: 'varchar', nullable: true },
    status: { type: 'varchar' },
    customerId: { name: 'customer_id', type: 'bigint' },
    projectId: { name: 'project_id', type: 'bigint', nullable: true },
    currency: { type: 'char' },
    issuedOn: { name: 'issued_on', type: 'date', nullable: true },
    dueOn: { name: 'due_on', type: 'date', nullable: true },
    note: { type: 'varchar', nullable: true }
  }
})

export const invoiceLines = new EntitySchema<InvoiceLine>({
  name: 'invoice_line',
  tableName: 'invoice_lines',
  columns: {
    invoiceId: { name: 'invoice_id', type: 'bigint', primary: true },
    position: { type: 'smallint', primary: true },
    description: { type: 'varchar' },
    quantity: { type: 'numeric' },
    unitPrice: { name: 'unit_price', type: 'numeric' },
    taxRate: { name: 'tax_rate', type: 'numeric' }
  }
})

/** A view: the database adds up. */
export const invoiceTotals = new EntitySchema<InvoiceTotals>({
  name: 'invoice_totals',
  tableName: 'invoice_totals',
  columns: {
    invoiceId: { name: 'invoice_id', type: 'bigint', primary: true },
    net: { name: 'net_total', type: 'numeric' },
    tax: { name: 'tax_total', type: 'numeric' },
    total: { type: 'numeric' }
  }
})

export const entities = [users, customers, projects, invoices, invoiceLines, invoiceTotals]
