import { type Command, Option } from 'commander'
import { type OperatorRole, operatorRoles } from '../../src/catalog/operators.js'
import type { Issued } from '../../src/operators/operators.js'
import { writeNew } from '../files.js'
import { milliseconds } from '../flags.js'
import { verb } from '../help.js'
import { type Session, withSaasctl } from '../session.js'

interface TokenOptions {
  expires: number
  overlap: number
  out?: string
}

const usualLife = 90 * 86_400_000

export function operator(noun: Command): void {
  const create = verb(noun, 'create <name>', 'Let a person or a program use the control plane', [
    'operator create ada --role admin --out ada.token',
    'operator create ci --role operator --expires 30d'
  ]).addOption(new Option('--role <role>', 'what it may do').choices([...operatorRoles]).makeOptionMandatory())
  tokenFlags(create).action(withSaasctl(createOperator))
  verb(noun, 'list', 'List operators, those that were revoked too', ['operator list'])
    .alias('ls')
    .action(withSaasctl(list))
  verb(noun, 'revoke <name>', 'End an operator’s tokens at once, for good', ['operator revoke ada'])
    .alias('rm')
    .action(withSaasctl(revoke))
  const token = verb(noun, 'token <name>', 'Make a new token in the place of the earlier ones', [
    'operator token ci --out ci.token',
    'operator token ci --overlap 1h  # the earlier ones work for another hour'
  ]).option('--overlap <duration>', 'how long the earlier tokens still work', milliseconds, 0)
  tokenFlags(token).action(withSaasctl(renew))
}

function tokenFlags(command: Command): Command {
  return command
    .option('--expires <duration>', 'how long the token works', milliseconds, usualLife)
    .option('--out <file>', 'a new file for the token; without it, it is printed')
}

async function createOperator(
  session: Session,
  { role, expires, out }: TokenOptions & { role: OperatorRole },
  name: string
): Promise<void> {
  const { createOperator: create } = await import('../../src/operators/operators.js')
  await hand(session, out, () => create(session.saasctl, { name, role, lifeSeconds: expires / 1000 }))
}

async function renew(session: Session, { expires, overlap, out }: TokenOptions, name: string): Promise<void> {
  const { renewToken } = await import('../../src/operators/operators.js')
  const wish = { lifeSeconds: expires / 1000, overlapSeconds: overlap / 1000 }
  await hand(session, out, () => renewToken(session.saasctl, name, wish))
}

/** The file is made first: a token that could not be written down would be nobody's. */
async function hand(
  { print, progress }: Session,
  file: string | undefined,
  issue: () => Promise<Issued>
): Promise<void> {
  let issued: Issued | undefined
  const text = async () => {
    issued = await issue()
    return `${issued.token.reveal()}\n`
  }
  if (file === undefined) {
    const token = (await text()).trim()
    print.text(token, { ...issued?.operator, token, expiresAt: issued?.expiresAt })
  } else {
    await writeNew(file, text)
    print.one({ ...issued?.operator, expiresAt: issued?.expiresAt })
  }
  progress.notice('The token is kept nowhere else; it is not shown again. Use it as SAASCTL_TOKEN or --token-file.')
}

async function list({ saasctl, print, progress }: Session): Promise<void> {
  const { listOperators } = await import('../../src/catalog/operators.js')
  const rows = await listOperators(saasctl.catalog)
  print.list(rows, ['name', 'role', 'createdAt', 'tokenUntil', 'revokedAt'])
  if (rows.length === 0) progress.next('There is none: whoever has the catalog’s login may do everything.')
}

async function revoke({ saasctl, progress }: Session, _options: object, name: string): Promise<void> {
  const { revokeOperator } = await import('../../src/operators/operators.js')
  await revokeOperator(saasctl, name)
  progress.notice(`${name} is revoked: its tokens are refused from now on.`)
}
