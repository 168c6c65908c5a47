import type { ColumnDef, Constraint, Node } from 'libpg-query'

/** The constraints that stand in a column's definition. */
export const constraintsOf = ({ constraints = [] }: ColumnDef): Constraint[] =>
  constraints.flatMap(node => ('Constraint' in node ? [node.Constraint] : []))

const has = (column: ColumnDef, type: Constraint['contype']) =>
  constraintsOf(column).some(({ contype }) => contype === type)

/** Whether every row of a table gets its own value when the column is added: the table is written anew then. */
export function fillsEachRow(column: ColumnDef): boolean {
  if (/^(?:(?:small|big)?serial|serial[248])$/.test(typeOf(column)) || has(column, 'CONSTR_IDENTITY')) return true
  return constraintsOf(column).some(
    ({ contype, generated_kind, raw_expr }) =>
      (contype === 'CONSTR_GENERATED' && generated_kind !== 'v') ||
      (contype === 'CONSTR_DEFAULT' && callsVolatile(raw_expr))
  )
}

/** Whether it takes no NULL and has nothing to put in the place of one. */
export const lacksValue = (column: ColumnDef) =>
  (has(column, 'CONSTR_NOTNULL') || has(column, 'CONSTR_PRIMARY')) && !has(column, 'CONSTR_DEFAULT')

export const hasDefault = (column: ColumnDef) => has(column, 'CONSTR_DEFAULT')

const typeOf = ({ typeName }: ColumnDef): string => lastName(typeName?.names)

export function lastName(names: Node[] = []): string {
  const last = names.at(-1)
  return last && 'String' in last ? (last.String.sval ?? '') : ''
}

const VOLATILE =
  /^(?:gen_random_uuid|uuid_generate_\w+|uuidv[47]|random|random_normal|gen_random_bytes|gen_salt|clock_timestamp|timeofday|nextval)$/

/** Whether a function that answers differently each time is called anywhere in the expression. */
function callsVolatile(expression: unknown): boolean {
  if (typeof expression !== 'object' || expression === null) return false
  if ('FuncCall' in expression) {
    const { funcname } = expression.FuncCall as { funcname?: Node[] }
    if (VOLATILE.test(lastName(funcname))) return true
  }
  return Object.values(expression).some(callsVolatile)
}
