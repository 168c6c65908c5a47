import {
  createTenant,
  findTenant,
  resumeTenant,
  type Saasctl,
  SaasctlError,
  undeleteTenant,
  updateTenant
} from 'saasctl'
import type { Furniture } from './furnish.js'

export interface DemoTenant {
  slug: string
  plan: string
  furniture: Furniture
}

/** Two companies that know nothing of each other. birch has used up the three projects of its plan. */
export const alder: DemoTenant = {
  slug: 'alder',
  plan: 'pro',
  furniture: {
    owner: { name: 'Ada Alder', email: 'ada@alder.example' },
    customer: { name: 'Bergmann Werkzeuge', email: 'rechnung@bergmann.example', country: 'DE', currency: 'EUR' },
    work: { description: 'Consulting, one day', unitPrice: '1200' },
    projects: ['Website']
  }
}

export const birch: DemoTenant = {
  slug: 'birch',
  plan: 'free',
  furniture: {
    owner: { name: 'Ben Birch', email: 'ben@birch.example' },
    customer: { name: 'Harbour Yoga', email: 'hello@harbouryoga.example', country: 'GB', currency: 'GBP' },
    work: { description: 'Website care, one month', unitPrice: '89' },
    projects: ['Getting started', 'Website', 'Newsletter']
  }
}

/** Makes the tenant, or opens again the one that is there, and sees to its plan. Gives its id. */
export async function ensureTenant(saasctl: Saasctl, { slug, plan }: DemoTenant): Promise<string> {
  const wait = { wait: true }
  let tenant = await findTenant(saasctl.catalog, slug).catch(unlessMissing)
  if (!tenant) return (await createTenant(saasctl, { slug, plan }, { template: 'standard' }, wait)).tenant.id
  if (tenant.status === 'deleted') ({ tenant } = await undeleteTenant(saasctl, slug, wait))
  if (tenant.status === 'suspended') ({ tenant } = await resumeTenant(saasctl, slug, wait))
  if (tenant.plan !== plan) ({ tenant } = await updateTenant(saasctl, slug, { plan }, wait))
  return tenant.id
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof SaasctlError && error.code === 'TENANT_NOT_FOUND') return undefined
  throw error
}
