import type { AlterTableStmt, Constraint, Node } from 'libpg-query'
import { lineOf } from '../../statements.js'
import { actionRules } from './action-rules.js'
import { actionsOf } from './actions.js'
import { commandRules } from './command-rules.js'
import type { Command } from './parse.js'
import { type Broken, type Setting, tableName } from './rule.js'
import { serverRules } from './server-rules.js'

/** Everything that is wrong with one command, each with its line. `setting` learns what the next commands are judged by. */
export function judge(command: Command, setting: Setting): Array<Broken & { line: number }> {
  const { node, sql, from } = command
  const made = madeTable(node)
  if (made !== undefined) setting.fresh.add(made)
  const whole = [...commandRules.flatMap(rule => rule(node, setting) ?? []), ...serverRules(node)]
  return [
    ...whole.map(broken => ({ ...broken, line: lineOf(sql, from) })),
    ...('AlterTableStmt' in node ? judgeActions(command, node.AlterTableStmt, setting) : [])
  ]
}

function madeTable(node: Node): string | undefined {
  const relation =
    'CreateStmt' in node
      ? node.CreateStmt.relation
      : 'CreateTableAsStmt' in node
        ? node.CreateTableAsStmt.into?.rel
        : undefined
  return relation && tableName(relation)
}

function judgeActions(command: Command, statement: AlterTableStmt, setting: Setting): Array<Broken & { line: number }> {
  if (statement.objtype !== 'OBJECT_TABLE' || !statement.relation) return []
  const table = tableName(statement.relation)
  if (setting.fresh.has(table)) return []
  return actionsOf(command, statement).flatMap(({ cmd, at }) => {
    const rules = actionRules[cmd.subtype ?? ''] ?? []
    const found = rules.flatMap(rule => rule(cmd, table, setting) ?? [])
    setting.addedNotValid ||= constraintIn(cmd.def)?.skip_validation === true
    return found.map(broken => ({ ...broken, table, line: lineOf(command.sql, at) }))
  })
}

const constraintIn = (def: Node | undefined): Constraint | undefined =>
  def && 'Constraint' in def ? def.Constraint : undefined

/** `table.column` pairs of which the command says in a constraint that they are not null. */
export function notNullChecks({ node }: Command): string[] {
  if (!('AlterTableStmt' in node) || !node.AlterTableStmt.relation) return []
  const table = tableName(node.AlterTableStmt.relation)
  return (node.AlterTableStmt.cmds ?? []).flatMap(cmd => {
    const constraint = 'AlterTableCmd' in cmd ? constraintIn(cmd.AlterTableCmd.def) : undefined
    return notNullColumns(constraint?.raw_expr).map(column => `${table}.${column}`)
  })
}

/** The columns that are NOT NULL wherever the expression is true. */
function notNullColumns(expression: Node | undefined): string[] {
  if (!expression) return []
  if ('BoolExpr' in expression && expression.BoolExpr.boolop === 'AND_EXPR') {
    return (expression.BoolExpr.args ?? []).flatMap(notNullColumns)
  }
  if (!('NullTest' in expression) || expression.NullTest.nulltesttype !== 'IS_NOT_NULL') return []
  const { arg } = expression.NullTest
  const [field] = arg && 'ColumnRef' in arg ? (arg.ColumnRef.fields ?? []) : []
  return field && 'String' in field ? [field.String.sval ?? ''] : []
}
