import { SaasctlError } from '../errors.js'
import type { Caller } from './caller.js'

type Role = Exclude<Caller['role'], 'admin' | 'owner'>

const looking: Role[] = ['operator', 'support', 'anyone']
const caring: Role[] = ['operator', 'support']
const working: Role[] = ['operator']
const proving: Role[] = ['operator', 'auditor']
const admins: Role[] = []

/**
 * The one table of who may do what, by `noun verb`; a line with a flag is asked besides, when the flag is given. An admin
 * may do all of it, and so may whoever holds the catalog's login as long as there is no admin. What is not here is an
 * admin's. The auditor's lines are all that an auditor may do, whatever login the program has.
 */
export const permissions: Record<string, readonly Role[]> = {
  'tenant list': [...looking, 'signup'],
  'tenant show': [...looking, 'signup'],
  'tenant create': ['operator', 'signup'],
  'tenant update': working,
  'tenant rename': working,
  'tenant suspend': caring,
  'tenant resume': caring,
  'tenant migrate': working,
  'tenant migrations': looking,
  'tenant delete': working,
  'tenant delete --now': admins,
  'tenant undelete': working,
  'tenant dsn': looking,
  'tenant dsn --reveal': working,
  'tenant shell': caring,
  'tenant shell --write': working,
  'tenant invalidate': caring,
  'tenant domain add': working,
  'tenant domain list': looking,
  'tenant domain verify': working,
  'tenant domain remove': working,
  'tenant adopt': admins,
  'tenant give-away': admins,
  'tenant hold': admins,
  'tenant release': admins,
  'tenant erase': admins,
  'tenant backup': working,
  'tenant restore': working,
  'tenant clone': working,
  'backup list': looking,
  'backup show': looking,
  'backup status': looking,
  'backup verify': working,
  'backup prune': admins,
  'backup hold': admins,
  'backup release': admins,
  'fleet status': looking,
  'fleet drift': looking,
  'fleet query': working,
  'fleet backup': working,
  'template list': looking,
  'template show': looking,
  'template build': working,
  'template drop': working,
  'plan list': looking,
  'plan show': looking,
  'plan apply': working,
  'migration check': working,
  'migration new': working,
  'rollout plan': working,
  // The command is run by whoever works the rollout, on a worker's machine.
  'rollout plan --gate': admins,
  'rollout list': looking,
  'rollout show': looking,
  'rollout status': looking,
  'rollout start': working,
  'rollout start --gate': admins,
  'rollout watch': looking,
  'rollout pause': working,
  'rollout resume': working,
  'rollout abort': working,
  'rollout undo': working,
  'rollout retry': working,
  'server list': looking,
  'server show': looking,
  'server check': working,
  'server add': admins,
  'server update': admins,
  'server cordon': working,
  'server uncordon': working,
  'server remove': admins,
  'operation list': [...looking, 'signup'],
  'operation show': [...looking, 'signup'],
  'operation watch': [...looking, 'signup'],
  'operation resume': caring,
  'operation cancel': working,
  // It works in the name of whoever promised each operation, not in its own.
  worker: looking,
  doctor: looking,
  'doctor --fix': working,
  'catalog status': looking,
  'catalog adopt': admins,
  'catalog backup': working,
  'key status': looking,
  'key backup': admins,
  'operator list': looking,
  'operator create': admins,
  'operator revoke': admins,
  'operator token': admins,
  'approval list': looking,
  'approval approve': admins,
  'approval reject': admins,
  'audit list': [...proving, 'anyone'],
  'audit show': [...proving, 'anyone'],
  'audit verify': [...proving, 'anyone'],
  'audit export': proving,
  'audit checkpoint': working,
  'audit certificate': [...proving, 'anyone'],
  'audit key': [...proving, 'anyone'],
  'audit key --rotate': admins,
  'export create': proving,
  'export list': [...proving, 'anyone'],
  'export show': [...proving, 'anyone'],
  'export verify': [...proving, 'anyone'],
  'export download': working,
  'export import': working,
  'dev start': working
}

/** NOT_ALLOWED unless the caller's role may do this; `flags` are the names of those that were given. */
export function demand({ actor, role }: Caller, action: string, flags: readonly string[] = []): void {
  if (role === 'admin' || role === 'owner') return
  for (const asked of [action, ...flags.map(flag => `${action} --${flag}`)]) {
    const roles: readonly Role[] = permissions[asked] ?? (asked === action ? admins : [role])
    if (!roles.includes(role)) throw notAllowed(actor.name, role, asked)
  }
}

function notAllowed(name: string, role: Role, asked: string): SaasctlError {
  if (role === 'anyone') {
    return new SaasctlError('NOT_ALLOWED', `"${asked}" takes an operator’s token, and none was given.`, {
      hint: 'Set SAASCTL_TOKEN, or name its file with --token-file.'
    })
  }
  const may = ['admin', ...(permissions[asked] ?? []).filter(one => one !== 'anyone')].join(', ')
  return new SaasctlError(
    'NOT_ALLOWED',
    `${name} is ${/^[aeo]/.test(role) ? 'an' : 'a'} ${role} and may not do "${asked}".`,
    {
      hint: `This may be done as: ${may}.`
    }
  )
}

/** What is asked of the whole installation, and has to be put right before a restored catalog can learn what came after it. */
const BEFORE_ADOPTION = /^(?:catalog|key|server|operator|approval|audit) /

/**
 * CATALOG_STATE for what would act on a restored catalog before it is adopted: it may purge who lives, and give a tenant a
 * database that another has by now. Looking is always allowed.
 */
export function refuseBeforeAdoption(command: string, flags: readonly string[]): void {
  const looks = permissions[command]?.includes('anyone') && !flags.some(flag => permissions[`${command} --${flag}`])
  if (looks || BEFORE_ADOPTION.test(command)) return
  throw new SaasctlError('CATALOG_STATE', 'The catalog was restored from a backup and is not adopted yet.', {
    hint: 'Nothing was done. See what came after the backup with "saasctl catalog adopt --dry-run", and run "saasctl catalog adopt".'
  })
}
