import type { WaveRow } from '../src/catalog/rollouts.js'
import type { RolloutView } from '../src/rollouts/control.js'
import { failedTenant } from '../src/rollouts/report.js'
import { bar, Pace, span } from './bar.js'
import type { Session } from './session.js'

const LINE_MS = 5_000

/**
 * What a rollout does while somebody follows it: a bar for each wave on a terminal, a plain line every few seconds
 * elsewhere, and with `-o ndjson` an event for everything that happens, on stdout, for it is the data then.
 */
export class RolloutProgress {
  readonly #session: Pick<Session, 'print' | 'progress' | 'flags'>
  readonly #pace = new Pace()
  readonly #told = new Set<string>()
  #troubles = ''
  #wave = -1
  #line = ''
  #lineAt = Number.NEGATIVE_INFINITY

  constructor(session: Pick<Session, 'print' | 'progress' | 'flags'>) {
    this.#session = session
  }

  moved(view: RolloutView): void {
    const wave = view.waves[view.rollout.wave]
    if (!wave) return
    for (const before of view.waves.slice(Math.max(this.#wave, 0), wave.position)) this.#show(view, before, true)
    this.#wave = wave.position
    this.#pace.see(overOf(wave))
    this.#tellFailures(view)
    this.#tellLanes(view)
    this.#show(view, wave, wave.finishedAt !== null || view.rollout.status !== 'running')
  }

  #show(view: RolloutView, wave: WaveRow, last: boolean): void {
    const { print, progress } = this.#session
    const etaSeconds = last ? undefined : this.#pace.eta(leftOf(wave))
    const label = `wave ${wave.name}`
    const [over, all] = [overOf(wave), overOf(wave) + leftOf(wave)]
    const soaks = !last && wave.workedAt !== null && view.rollout.settings.soakMs > 0
    if (print.streams) {
      this.#event(view, 'wave', { ...wave, etaSeconds: etaSeconds ?? null })
    } else if (progress.draws && !last) {
      const { columns } = progress
      const drawn = bar({ label, over, all, failed: wave.failed, etaSeconds, columns })
      progress.live(soaks ? `${label}: ${over} of ${all}; ${soak(view)}` : drawn)
    } else {
      const failed = wave.failed > 0 ? `, ${wave.failed} failed` : ''
      const eta = etaSeconds !== undefined && over < all ? `, ${span(etaSeconds)} left` : ''
      this.#say(`${label}: ${over} of ${all}${failed}`, soaks ? `; ${soak(view)}` : eta, last || over === all)
    }
  }

  /** A plain line now and then, and always at the end of a wave; the same one never twice. */
  #say(line: string, more: string, always: boolean): void {
    const now = performance.now()
    if (line === this.#line || (!always && now - this.#lineAt < LINE_MS)) return
    this.#line = line
    this.#lineAt = now
    this.#session.progress.notice(`${line}${more}`)
  }

  #tellFailures(view: RolloutView): void {
    const { print, progress } = this.#session
    const failing = new Set(view.failures.map(({ tenantId }) => tenantId))
    for (const tenantId of this.#told) if (!failing.has(tenantId)) this.#told.delete(tenantId)
    for (const target of view.failures) {
      if (this.#told.has(target.tenantId)) continue
      this.#told.add(target.tenantId)
      const { slug: tenant, server, code, reason, next } = failedTenant(target, view.rollout.id)
      if (print.streams) this.#event(view, 'failed', { tenant, server, code, reason, next })
      else progress.notice(`${tenant} failed: ${reason}`)
    }
  }

  /** Servers that do not answer, and whatever else keeps a lane from its work. */
  #tellLanes(view: RolloutView): void {
    const { print, progress } = this.#session
    const troubled = view.lanes.filter(({ status, error }) => status === 'waiting' && error !== null)
    const troubles = troubled.map(({ server, error }) => `${server}: ${error?.message}`).join(' ')
    // A lane that is tried again is not waiting for that moment.
    if (troubles === '' || troubles === this.#troubles) return
    this.#troubles = troubles
    for (const { server, error, nextAt } of troubled) {
      if (print.streams) this.#event(view, 'lane', { server, error, nextAt })
      else progress.notice(`server ${server} waits and is tried again: ${error?.message}`)
    }
  }

  #event({ rollout }: RolloutView, event: string, facts: object): void {
    this.#session.print.one({ event, at: new Date(), rollout: rollout.id, status: rollout.status, ...facts })
  }
}

const leftOf = ({ pending, running }: WaveRow) => pending + running
const overOf = ({ done, failed, skipped }: WaveRow) => done + failed + skipped
const soak = ({ rollout }: RolloutView) => `the next wave comes after ${span(rollout.settings.soakMs / 1000)}`
