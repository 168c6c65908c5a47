import type { FastifyInstance } from 'fastify'
import { issueInvoice, listInvoices, type NewInvoice, payInvoice, readInvoice } from '../invoices.js'
import { type Page, page } from '../page.js'
import { type ById, byId, id, nullableId, nullableText, text, words } from '../schemas.js'
import { editorsOnly } from '../users.js'

const head = {
  id,
  number: nullableText,
  status: text,
  customerId: id,
  projectId: nullableId,
  currency: text,
  issuedOn: nullableText,
  dueOn: nullableText,
  note: nullableText,
  totals: { type: 'object', nullable: true, properties: { net: text, tax: text, total: text } }
}
const line = {
  type: 'object',
  properties: { position: { type: 'integer' }, description: text, quantity: text, unitPrice: text, taxRate: text }
}
const invoices = { type: 'array', items: { type: 'object', properties: head } }
const invoice = { type: 'object', properties: { ...head, lines: { type: 'array', items: line } } }

/** Decimal digits as text. Quantity times price must fit into the twelve digits of a line's amount. */
const amount = (pattern: string) => ({ type: 'string', pattern })
const newInvoice = {
  type: 'object',
  required: ['customerId', 'lines'],
  properties: {
    customerId: id,
    projectId: nullableId,
    note: { ...words(2000), nullable: true },
    lines: {
      type: 'array',
      minItems: 1,
      maxItems: 200,
      items: {
        type: 'object',
        required: ['description', 'unitPrice'],
        properties: {
          description: words(500),
          quantity: { ...amount('^\\d{1,5}(\\.\\d{1,3})?$'), default: '1' },
          unitPrice: amount('^-?\\d{1,7}(\\.\\d{1,4})?$'),
          taxRate: { ...amount('^(0(\\.\\d{1,4})?|1)$'), default: '0' }
        }
      }
    }
  }
}

export async function invoiceRoutes(app: FastifyInstance): Promise<void> {
  app.get<{ Querystring: Page }>(
    '/invoices',
    { schema: { querystring: page, response: { 200: invoices } } },
    async request => listInvoices((await request.tenantDb()).manager, request.query)
  )

  app.get<{ Params: ById }>('/invoices/:id', { schema: { params: byId, response: { 200: invoice } } }, async request =>
    readInvoice((await request.tenantDb()).manager, request.params.id)
  )

  app.post<{ Body: NewInvoice }>(
    '/invoices',
    { preHandler: editorsOnly, schema: { body: newInvoice, response: { 201: invoice } } },
    async (request, reply) => {
      const issued = await request.tenantTransaction(manager => issueInvoice(manager, request.body))
      return reply.code(201).header('location', `/invoices/${issued.id}`).send(issued)
    }
  )

  app.post<{ Params: ById }>(
    '/invoices/:id/pay',
    { preHandler: editorsOnly, schema: { params: byId, response: { 200: invoice } } },
    request => request.tenantTransaction(manager => payInvoice(manager, request.params.id))
  )
}
