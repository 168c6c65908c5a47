/** One request to try: what it gives, and all that a curl line needs. */
export interface Stop {
  says: string
  /** The shell variable that holds the user's token; a stranger's request has none. */
  as?: string
  host?: string
  method?: 'POST'
  path: string
  body?: object
}

export interface Hosts {
  alder: string
  birch: string
}

export interface Ids {
  customerId: string
  openInvoiceId: string
}

/** What to try, in this order. Each says the status that it gives. */
export function tour(hosts: Hosts, { customerId, openInvoiceId }: Ids): Stop[] {
  const asAda = { as: 'ALDER', host: hosts.alder }
  const asBen = { as: 'BIRCH', host: hosts.birch }
  const invoice = { customerId, lines: [{ description: 'Consulting, one hour', quantity: '3', unitPrice: '165' }] }
  return [
    { says: '200: who Ada is, and what her company’s plan allows', ...asAda, path: '/me' },
    { says: '200: the invoices of her company', ...asAda, path: '/invoices' },
    { says: '200: the same request from Ben, in another database', ...asBen, path: '/invoices' },
    { says: '201: a new invoice', ...asAda, method: 'POST', path: '/invoices', body: invoice },
    {
      says: '200: one is paid (409 the second time)',
      ...asAda,
      method: 'POST',
      path: `/invoices/${openInvoiceId}/pay`
    },
    { says: '404: Ada’s token on Ben’s host', as: 'ALDER', host: hosts.birch, path: '/invoices' },
    { says: '404: no token; nobody learns whether the tenant exists', host: hosts.birch, path: '/invoices' },
    {
      says: '402: the plan of Ben’s company has no room',
      ...asBen,
      method: 'POST',
      path: '/projects',
      body: { name: 'One more' }
    },
    { says: '200: what the router did, for Prometheus', path: '/metrics' }
  ]
}

/** As a line for a shell. */
export function curl(base: string, { as, host, method, path, body }: Stop): string {
  return [
    'curl -sSi',
    as && `-H "$${as}"`,
    host && `-H 'Host: ${host}'`,
    method && !body && `-X ${method}`,
    body && `-H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`,
    `${base}${path}`
  ]
    .filter(Boolean)
    .join(' ')
}
