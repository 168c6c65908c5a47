import type { DropStmt, Node, RenameStmt } from 'libpg-query'
import { asContract, type Broken, fail, outsideTransaction, rewritten, type Setting, tableName, warn } from './rule.js'

type CommandRule = (node: Node, setting: Setting) => Broken | undefined

const about = (table: string, broken: Broken): Broken => ({ ...broken, table })
const concurrently = () => fail('index.transaction', 'CONCURRENTLY cannot run in a transaction.', outsideTransaction)
const option = (params: Node[] | undefined, name: string) =>
  params?.some(node => 'DefElem' in node && node.DefElem.defname === name) ?? false

/** Rules over whole commands. */
export const commandRules: readonly CommandRule[] = [
  (node, { options, fresh }) => {
    if (!('IndexStmt' in node) || !node.IndexStmt.relation) return undefined
    const { relation, concurrent } = node.IndexStmt
    const table = tableName(relation)
    if (concurrent) return options.transaction ? about(table, concurrently()) : undefined
    // The index of a partitioned table ONLY is made of none of its rows.
    if (fresh.has(table) || !relation.inh) return undefined
    const message = `Nobody can write to ${table} while this index is built.`
    return about(table, warn('index.blocking', message, `Use CREATE INDEX CONCURRENTLY. ${outsideTransaction}`))
  },
  (node, { options }) => {
    if (!options.transaction) return undefined
    if ('DropStmt' in node && node.DropStmt.concurrent) return concurrently()
    if ('ReindexStmt' in node && option(node.ReindexStmt.params, 'concurrently')) return concurrently()
    if (!('VacuumStmt' in node) || !node.VacuumStmt.is_vacuumcmd) return undefined
    return fail('statement.transaction', 'VACUUM cannot run in a transaction.', outsideTransaction)
  },
  (node, { fresh }) => {
    if (!('ReindexStmt' in node) || option(node.ReindexStmt.params, 'concurrently')) return undefined
    const { relation, kind } = node.ReindexStmt
    const name = relation ? tableName(relation) : 'any table'
    if (fresh.has(name)) return undefined
    const broken = warn(
      'index.blocking',
      `Nobody can write to ${kind === 'REINDEX_OBJECT_INDEX' ? `the table of ${name}` : name} while it is indexed anew.`,
      `Use REINDEX … CONCURRENTLY. ${outsideTransaction}`
    )
    return kind === 'REINDEX_OBJECT_TABLE' ? about(name, broken) : broken
  },
  (node, { options, fresh }) => {
    if (!('DropStmt' in node) || options.phase === 'contract') return undefined
    const dropped = droppedTables(node.DropStmt).find(table => !fresh.has(table))
    if (dropped === undefined) return undefined
    return about(dropped, warn('contract.drop', `Programs that still use ${dropped} fail from here on.`, asContract))
  },
  (node, { fresh }) => {
    const moved =
      'RenameStmt' in node && renames(node.RenameStmt)
        ? node.RenameStmt.relation
        : 'AlterObjectSchemaStmt' in node && node.AlterObjectSchemaStmt.objectType === 'OBJECT_TABLE'
          ? node.AlterObjectSchemaStmt.relation
          : undefined
    if (!moved || fresh.has(tableName(moved))) return undefined
    const table = tableName(moved)
    const message = `Programs know this of ${table} by one name: those of the other age fail.`
    const fix = 'Add the new one beside the old, let programs change over, then drop the old one.'
    return about(table, warn('contract.rename', message, fix))
  },
  node => {
    const relation = rewrittenBy(node)
    return relation && about(tableName(relation), rewritten(tableName(relation)))
  }
]

function droppedTables({ removeType, objects = [] }: DropStmt): string[] {
  if (removeType !== 'OBJECT_TABLE') return []
  return objects.map(object => {
    const names = 'List' in object ? (object.List.items ?? []) : []
    const [schema = '', name] = names.flatMap(item => ('String' in item ? [item.String.sval ?? ''] : []))
    return name === undefined ? schema : tableName({ schemaname: schema, relname: name })
  })
}

const renames = ({ renameType }: RenameStmt) =>
  renameType === 'OBJECT_TABLE' || renameType === 'OBJECT_COLUMN' || renameType === 'OBJECT_ATTRIBUTE'

function rewrittenBy(node: Node) {
  if ('ClusterStmt' in node) return node.ClusterStmt.relation
  if (!('VacuumStmt' in node) || !option(node.VacuumStmt.options, 'full')) return undefined
  const [first] = node.VacuumStmt.rels ?? []
  return first && 'VacuumRelation' in first ? first.VacuumRelation.relation : undefined
}
