import type { Command } from 'commander'

export interface Noun {
  name: string
  alias?: string
  about: string
  group: string
  /** Adds the verbs. Loaded for the noun that the command line names, and for no other. */
  load(): Promise<(noun: Command) => void>
}

/** The order is the order of `saasctl --help`. */
export const nouns: readonly Noun[] = [
  {
    name: 'tenant',
    alias: 'tenants',
    about: 'Create, change, migrate, enter and delete tenants',
    group: 'Tenants:',
    load: async () => (await import('./commands/tenant.js')).tenant
  },
  {
    name: 'template',
    alias: 'templates',
    about: 'What new tenants start from, and databases kept warm',
    group: 'Tenants:',
    load: async () => (await import('./commands/template.js')).template
  },
  {
    name: 'plan',
    alias: 'plans',
    about: 'Limits and features that tenants have bought',
    group: 'Tenants:',
    load: async () => (await import('./commands/plan.js')).plan
  },
  {
    name: 'migration',
    alias: 'migrations',
    about: 'Write and check migration files',
    group: 'Tenants:',
    load: async () => (await import('./commands/migration.js')).migration
  },
  {
    name: 'rollout',
    alias: 'rollouts',
    about: 'Migrate many tenants in waves, with gates and brakes',
    group: 'Tenants:',
    load: async () => (await import('./commands/rollout.js')).rollout
  },
  {
    name: 'fleet',
    about: 'All tenants at once: how they stand, how they differ, what they hold',
    group: 'Tenants:',
    load: async () => (await import('./commands/fleet.js')).fleet
  },
  {
    name: 'export',
    alias: 'exports',
    about: 'A tenant’s data as a signed file: make, verify, bring back',
    group: 'Tenants:',
    load: async () => (await import('./commands/export.js')).exportNoun
  },
  {
    name: 'backup',
    alias: 'backups',
    about: 'Look at backups, verify, keep and remove them',
    group: 'Tenants:',
    load: async () => (await import('./commands/backup.js')).backup
  },
  {
    name: 'server',
    alias: 'servers',
    about: 'The database servers that tenants live on',
    group: 'Running it:',
    load: async () => (await import('./commands/server.js')).server
  },
  {
    name: 'operation',
    alias: 'operations',
    about: 'Follow, resume and cancel what is being done',
    group: 'Running it:',
    load: async () => (await import('./commands/operation.js')).operation
  },
  {
    name: 'worker',
    about: 'Work operations for everybody until it is stopped',
    group: 'Running it:',
    load: async () => (await import('./commands/worker.js')).worker
  },
  {
    name: 'doctor',
    about: 'Find what is wrong, and mend it',
    group: 'Running it:',
    load: async () => (await import('./commands/doctor.js')).doctor
  },
  {
    name: 'catalog',
    alias: 'catalogs',
    about: 'The database that knows all tenants: migrate, look, logins',
    group: 'Running it:',
    load: async () => (await import('./commands/catalog.js')).catalog
  },
  {
    name: 'key',
    alias: 'keys',
    about: 'The keys that open stored passwords: back them up',
    group: 'Running it:',
    load: async () => (await import('./commands/key.js')).key
  },
  {
    name: 'init',
    about: 'Start a project in this folder',
    group: 'Your project:',
    load: async () => (await import('./commands/init.js')).init
  },
  {
    name: 'dev',
    about: 'The embedded server: start, stop, look, reset',
    group: 'Your project:',
    load: async () => (await import('./commands/dev.js')).dev
  },
  {
    name: 'config',
    about: 'Every setting and where it comes from',
    group: 'Your project:',
    load: async () => (await import('./commands/config.js')).config
  },
  {
    name: 'completion',
    about: 'Completion for bash, zsh and fish',
    group: 'Your project:',
    load: async () => (await import('./commands/completion.js')).completion
  },
  {
    name: 'version',
    about: 'The version of this program',
    group: 'Your project:',
    load: async () => (await import('./commands/version.js')).version
  }
]
