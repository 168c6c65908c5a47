import type { AlterTableCmd, ColumnDef, Constraint } from 'libpg-query'
import { constraintsOf, fillsEachRow, hasDefault, lacksValue } from './columns.js'
import { asContract, type Broken, fail, indexed, rewritten, type Setting, scanned, warn } from './rule.js'

type ActionRule = (action: AlterTableCmd, table: string, setting: Setting) => Broken | undefined

const columnOf = ({ def }: AlterTableCmd): ColumnDef | undefined =>
  def && 'ColumnDef' in def ? def.ColumnDef : undefined
const constraintOf = ({ def }: AlterTableCmd): Constraint | undefined =>
  def && 'Constraint' in def ? def.Constraint : undefined

/** What each action of ALTER TABLE does to a table that may hold rows. Those that are not here do no harm. */
export const actionRules: Readonly<Record<string, readonly ActionRule[]>> = {
  AT_AddColumn: [
    (action, table) => {
      const column = columnOf(action)
      if (!column) return undefined
      if (fillsEachRow(column)) {
        const message = `Every row of ${table} gets another value: nobody can use it while it is written anew.`
        const fix = 'Add the column alone, then set its default, then fill the rows in small steps.'
        return warn('column.rewrite', message, fix)
      }
      if (!lacksValue(column)) return undefined
      const message = `Where ${table} has rows this fails: the new column has no value for them.`
      const fix = 'Give it a DEFAULT, or add it without NOT NULL and require it in a later file.'
      return fail('column.required', message, fix)
    },
    (action, table) => {
      const column = columnOf(action)
      const kinds = column ? constraintsOf(column).map(({ contype }) => contype) : []
      if (kinds.includes('CONSTR_UNIQUE')) return indexed(table)
      // A foreign key of a column that is NULL in every row has nothing to check.
      const foreign = kinds.includes('CONSTR_FOREIGN') && column !== undefined && hasDefault(column)
      return foreign || kinds.includes('CONSTR_CHECK') ? scanned(table) : undefined
    }
  ],
  AT_AlterColumnType: [
    (_, table) => {
      const message = `Nobody can use ${table} while it is written anew, unless both types are stored alike.`
      const fix = 'Add a column of the new type, fill it, let programs change over, drop the old one.'
      return warn('column.type', message, fix)
    }
  ],
  AT_SetNotNull: [
    ({ name = '' }, table, { checked }) => (checked.has(`${table}.${name}`) ? undefined : readForNull(table, name))
  ],
  AT_AddConstraint: [
    (action, table, { checked }) => {
      const { contype, skip_validation, indexname, keys } = constraintOf(action) ?? {}
      if (skip_validation || indexname !== undefined) return undefined
      if (contype === 'CONSTR_CHECK' || contype === 'CONSTR_FOREIGN') return scanned(table)
      if (contype === 'CONSTR_UNIQUE' || contype === 'CONSTR_PRIMARY' || contype === 'CONSTR_EXCLUSION') {
        return indexed(table)
      }
      const [column] = keys ?? []
      const name = column && 'String' in column ? (column.String.sval ?? '') : ''
      return contype === 'CONSTR_NOTNULL' && !checked.has(`${table}.${name}`) ? readForNull(table, name) : undefined
    }
  ],
  AT_ValidateConstraint: [
    (_, table, { addedNotValid, options }) => {
      if (!addedNotValid || !options.transaction) return undefined
      const message = `The lock that adding the constraint took on ${table} is held while every row of it is checked.`
      return warn('constraint.validate', message, 'Validate it in a later file.')
    }
  ],
  AT_DropColumn: [
    ({ name }, table, { options }) =>
      options.phase === 'contract'
        ? undefined
        : warn('contract.drop', `Programs that still use ${table}.${name} fail from here on.`, asContract)
  ],
  AT_SetLogged: [(_, table) => rewritten(table)],
  AT_SetUnLogged: [(_, table) => rewritten(table)],
  AT_SetTableSpace: [(_, table) => rewritten(table)],
  AT_SetAccessMethod: [(_, table) => rewritten(table)]
}

function readForNull(table: string, column: string): Broken {
  const fix = `In earlier files ADD CHECK (${column} IS NOT NULL) NOT VALID and VALIDATE it: then no row is read here.`
  return warn('column.not-null', `Nobody can use ${table} while every row of it is read.`, fix)
}
