import type { Node } from 'libpg-query'
import { type Broken, fail, warn } from './rule.js'

const roles = /^(?:Create|Alter|Drop)Role(?:Set)?Stmt$|^GrantRoleStmt$|^(?:DropOwned|ReassignOwned)Stmt$/
const server =
  /^(?:AlterSystem|Createdb|Dropdb|AlterDatabase|AlterDatabaseSet|(?:Create|Drop)TableSpace|Load|CheckPoint)Stmt$/

/** What belongs to the whole server, or to who may do more than the tenant: a migration stays in its database. */
export function serverRules(node: Node): Broken[] {
  const [kind = ''] = Object.keys(node)
  if (roles.test(kind)) {
    const message = 'Roles are the server’s, and all tenants on it share them; the tenant’s owner may not change them.'
    return [fail('server.role', message, "Name the app’s role by current_setting('saasctl.app_role') in grants.")]
  }
  if (server.test(kind)) {
    const message = 'It is about the whole server or a database as such, which the tenant’s owner may not change.'
    return [fail('server.setting', message, 'Set it on the server itself, or in a plan’s limits.')]
  }
  if ('CopyStmt' in node && (node.CopyStmt.is_program || node.CopyStmt.filename !== undefined)) {
    const message = 'It reads or writes a file of the server’s machine, which the tenant’s owner may not.'
    return [fail('server.file', message, 'Write the rows as INSERT.')]
  }
  if ('CreateExtensionStmt' in node) {
    const message = `Extension ${node.CreateExtensionStmt.extname} must be installed and trusted on every server.`
    return [warn('server.extension', message, 'Try it with --dry-run on each server before the rollout.')]
  }
  return definesOpenly(node) ? [openly()] : []
}

/** A function that runs as its owner and looks names up where its caller says. */
function definesOpenly(node: Node): boolean {
  const options =
    'CreateFunctionStmt' in node
      ? node.CreateFunctionStmt.options
      : 'AlterFunctionStmt' in node
        ? node.AlterFunctionStmt.actions
        : undefined
  const elements = (options ?? []).flatMap(one => ('DefElem' in one ? [one.DefElem] : []))
  const definer = elements.some(
    ({ defname, arg }) => defname === 'security' && arg && 'Boolean' in arg && arg.Boolean.boolval
  )
  const settled = elements.some(
    ({ defname, arg }) =>
      defname === 'set' && arg && 'VariableSetStmt' in arg && arg.VariableSetStmt.name === 'search_path'
  )
  return definer && !settled
}

const openly = () =>
  fail(
    'function.search-path',
    'The function runs with its owner’s rights, and whoever calls it says where its names are looked up.',
    'Add SET search_path = public, pg_temp to it.'
  )
