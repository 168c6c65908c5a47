import { type Command, Option } from 'commander'
import type { RolloutFinding } from '../../../src/rollouts/findings.js'
import type { PaceName } from '../../../src/rollouts/pace.js'
import type { RolloutPlan, RolloutWish } from '../../../src/rollouts/plan.js'
import type { Saasctl } from '../../../src/saasctl.js'
import { collectNames, count, httpUrl, milliseconds, notEmpty, percent } from '../../flags.js'
import { checkNames, type SelectorFlags, selectorFlags, selectorOf } from '../../selector.js'
import type { Session } from '../../session.js'

export interface WishFlags extends SelectorFlags {
  template: string
  tenant?: string[]
  to?: string
  down?: true
  canary?: number
  waves?: string[]
  soak?: number
  gate?: string[]
  gateUrl?: string[]
  gateSql?: string
  maxFailures?: number
  maxPercent?: number
  maxConsecutive?: number
  perServer?: number
  pace?: PaceName
  allow?: string[]
  verify?: true
  dryRun?: true
  dryRunOn?: string
}

export function wishFlags(command: Command): Command {
  selectorFlags(command)
    .option('--template <name>', 'tenants of this template', 'standard')
    .option('--tenant <slugs>', 'these tenants, with commas', collectNames)
    .option('--to <migration>', 'up to this migration; the newest by default. With --down: the last to keep')
    .option('--down', 'take migrations back')
    .option('--canary <n>', 'a first wave of so many tenants', count)
    .option('--waves <ends>', 'how far the rollout has come after each wave: 10%,50%,100% or 20,200', collectNames)
    .option('--soak <duration>', 'how long nothing happens between two waves', milliseconds)
    .option('--gate <command>', 'a command that must succeed between two waves', collectGates)
    .option('--gate-url <url>', 'a URL that must answer 2xx between two waves', collectUrls)
    .option('--gate-sql <query>', 'a query that must be true in every tenant of the wave', notEmpty)
    .option('--max-failures <n>', 'stop when so many tenants have failed', count)
    .option('--max-percent <n>', 'stop when this share has failed; 5', percent)
    .option('--max-consecutive <n>', 'stop when so many have failed in a row; 5', count)
    .option('--per-server <n>', 'databases of one server at once, at most; 4', count)
    .addOption(
      new Option('--pace <pace>', 'calm takes fewer at once while a server is busy; full always as many').choices([
        'calm',
        'full'
      ] satisfies PaceName[])
    )
    .option('--allow <codes>', 'findings that do not stop it, with commas', collectNames)
    .option('--verify', 'look into every database, instead of believing the catalog')
    .option('--dry-run', 'try the files on a clone of the template, and throw it away')
    .option('--dry-run-on <tenant>', 'try them on a clone of this tenant, which nobody can enter while it is copied')
  return command
}

/** Those that make a plan what it is. */
const planning = [
  ...(['selector', 'server', 'region', 'status', 'plan', 'all', 'except', 'tenant', 'to', 'down', 'canary'] as const),
  ...(['waves', 'soak', 'gate', 'gateUrl', 'gateSql', 'maxFailures', 'maxPercent', 'maxConsecutive'] as const),
  ...(['perServer', 'pace', 'verify'] as const)
] satisfies Array<keyof WishFlags>

/** A stored plan starts as it was planned: USAGE for a flag that would have to be passed over. */
export async function checkStored(flags: WishFlags): Promise<void> {
  const given = planning.find(name => flags[name] !== undefined)
  if (!given) return
  const { SaasctlError } = await import('../../../src/errors.js')
  const flag = `--${given.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
  throw new SaasctlError('USAGE', `A stored plan starts as it was planned, and ${flag} would change it.`, {
    hint: `Start it without ${flag}, or plan again with it.`
  })
}

const collectGates = (value: string, before: string[] = []) => [...before, notEmpty(value)]
const collectUrls = (value: string, before: string[] = []) => [...before, httpUrl(value)]

export async function wishOf(saasctl: Saasctl, flags: WishFlags): Promise<RolloutWish> {
  const { parseWaveEnd, usualSettings } = await import('../../../src/rollouts/settings.js')
  const { SaasctlError } = await import('../../../src/errors.js')
  const selector = selectorOf({ ...flags, template: undefined as never })
  const chosen = {
    ...selector,
    ...(flags.tenant && { slugs: flags.tenant }),
    ...(flags.except && { except: flags.except })
  }
  const selects = Object.keys(selector).length > 0 || flags.tenant !== undefined
  if (!selects && !flags.all) {
    throw new SaasctlError('USAGE', 'No tenant was named.', {
      hint: 'Give a selector such as -l plan=pro, --tenant, or --all.'
    })
  }
  await checkNames(saasctl, chosen)
  const { brakes } = usualSettings
  return {
    template: flags.template,
    selector: chosen,
    wholeFleet: !selects && !flags.except,
    direction: flags.down ? 'down' : 'up',
    to: flags.to ?? null,
    allow: flags.allow ?? [],
    verify: flags.verify === true,
    settings: {
      ...usualSettings,
      canary: flags.canary ?? 0,
      waves: flags.waves?.map(parseWaveEnd) ?? usualSettings.waves,
      soakMs: flags.soak ?? 0,
      gates: [
        ...(flags.gate ?? []).map(run => ({ kind: 'command', run }) as const),
        ...(flags.gateUrl ?? []).map(url => ({ kind: 'http', url }) as const),
        ...(flags.gateSql === undefined ? [] : [{ kind: 'sql', query: flags.gateSql } as const])
      ],
      brakes: {
        failures: flags.maxFailures ?? brakes.failures,
        percent: flags.maxPercent ?? brakes.percent,
        consecutive: flags.maxConsecutive ?? brakes.consecutive
      },
      perServer: flags.perServer ?? usualSettings.perServer,
      pace: flags.pace ?? 'calm'
    }
  }
}

export async function plan(session: Session, flags: WishFlags): Promise<void> {
  const { planRollout } = await import('../../../src/rollouts/plan.js')
  const planned = await planRollout(session.saasctl, await wishOf(session.saasctl, flags))
  printPlan(session, planned)
  await reportUnseen(planned)
  if (planned.id && isDry(flags)) await rehearse(session, flags, planned.id)
  if (planned.id) session.progress.next(`Start it with "saasctl rollout start ${planned.id}".`)
}

export const isDry = ({ dryRun, dryRunOn }: WishFlags) => dryRun === true || dryRunOn !== undefined

/** Tries a stored plan, and shows how long each file took. */
export async function rehearse(session: Session, { dryRunOn }: WishFlags, id: string): Promise<void> {
  const { saasctl, print, progress } = session
  const { rehearseRollout } = await import('../../../src/rollouts/rehearse.js')
  const rehearsals = await rehearseRollout(saasctl, id, { ...session.wait(), on: dryRunOn })
  progress.clear()
  const lines = rehearsals.flatMap(({ engine, server, tenant, files }) =>
    files.map(({ name, ms }) => ({
      engine,
      server,
      clone: tenant ?? 'template',
      migration: name,
      ms: ms === null ? null : Math.round(ms)
    }))
  )
  print.list(lines, ['engine', 'server', 'clone', 'migration', 'ms'])
  progress.notice('The clones are gone; no tenant was changed.')
}

export function printPlan({ print, progress }: Session, plan: RolloutPlan): void {
  if (print.forPrograms) {
    print.one(plan)
    return
  }
  for (const { slug, before, after } of plan.verified?.learned ?? []) {
    progress.notice(`${slug} stands at ${after ?? 'nothing'}, not at ${before ?? 'nothing'}: the catalog knows it now.`)
  }
  for (const slug of plan.verified?.drifted ?? []) {
    progress.notice(`${slug}: somebody has changed its schema by hand.`)
  }
  if (!plan.id) {
    progress.notice(
      plan.selected === 0
        ? 'No tenant fits; there is nothing to do.'
        : 'Every tenant stands where it should; there is nothing to do.'
    )
    return
  }
  print.one({
    id: plan.id,
    template: plan.template,
    targets: plan.targets,
    tenants: listed(plan.tenants),
    waves: plan.waves.map(({ name, size }) => `${name}: ${size}`).join(', '),
    migrations: Object.entries(plan.migrations)
      .map(([engine, files]) => `${engine}: ${files.join(', ')}`)
      .join('; '),
    largest: plan.largest.map(({ slug, bytes }) => `${slug} (${size(bytes)})`).join(', '),
    estimate:
      plan.estimateMs === null ? 'unknown until the first wave or a dry run' : `${Math.ceil(plan.estimateMs / 1000)} s`
  })
  for (const finding of plan.findings) if (finding.level !== 'ok') progress.notice(sentence(finding))
}

const SHOWN = 8

const listed = (slugs: string[]) =>
  slugs.length <= SHOWN ? slugs.join(', ') : `${slugs.slice(0, SHOWN).join(', ')} and ${slugs.length - SHOWN} more`

const size = (bytes: number) =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`

function sentence({ level, file, line, code, message, fix, table, hits, allowed }: RolloutFinding): string {
  const where = `${file}${line === undefined ? '' : `:${line}`}`
  const of = hits?.table ? `${table} of ${hits.slug}` : `the database of ${hits?.slug}`
  const hit = hits ? ` The biggest it hits: ${of}, ${size(hits.bytes)}.` : ''
  return `${allowed ? 'allowed' : level}: ${where}: ${code}: ${message}${hit}${fix ? ` ${fix}` : ''}`
}

/** Whoever asked for a look at every tenant must hear of those that could not be looked at. */
export async function reportUnseen({ verified }: RolloutPlan): Promise<void> {
  const [first, ...others] = verified?.failed ?? []
  if (!first) return
  const { SaasctlError } = await import('../../../src/errors.js')
  const more = others.length > 0 ? ` and ${others.length} more` : ''
  throw new SaasctlError('SOME_FAILED', `${first.slug}${more} could not be looked at: ${first.error.message}`, {
    hint: 'The plan believes the catalog of them. See what is wrong with "saasctl doctor".',
    data: { failed: verified?.failed.map(({ slug }) => slug) ?? [] }
  })
}
