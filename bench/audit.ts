import { controlPlane } from '../test/support/control-plane.js'
import { alternate } from './support/measure.js'
import { figure, ms } from './support/report.js'

// The function that alone may append, beside the least that a chained row can be: one statement that locks the chain's
// head, hashes, inserts and moves the head. Reported; its target belongs to the audit trail's own work.
const perRound = 50

const bare = `
  with head as (select seq + 1 as seq, hash from bench_chain where chain = $1 for update),
  event as (select head.seq, $2 || head.hash || head.seq as body from head),
  hashed as (select seq, body, encode(sha256(convert_to(body, 'UTF8')), 'hex') as hash from event),
  kept as (insert into bench_event select $1, seq, now(), $2, body, hash from hashed),
  payload as (insert into bench_payload select $1, seq, decode(md5(random()::text), 'hex'), $3 from hashed)
  update bench_chain c set seq = hashed.seq, hash = hashed.hash, at = now() from hashed where c.chain = $1`

const plane = await controlPlane({ addServer: false })
try {
  await plane.catalogAsSuperuser(async client => {
    await client.query(`
      create table bench_chain (like saasctl.audit_chain including all);
      create table bench_event (like saasctl.audit_event including all);
      create table bench_payload (like saasctl.audit_payload including all);
      insert into bench_chain select 'tenant:' || n, 0, repeat('0', 64), now() from generate_series(0, ${perRound - 1}) n`)
    const action = 'tenant.update'
    const payload = JSON.stringify({ before: { plan: 'free' }, after: { plan: 'pro' }, reason: 'upgrade' })
    const repeat = async (append: (chain: string) => Promise<unknown>) => {
      for (let index = 0; index < perRound; index += 1) await append(`tenant:${index}`)
    }
    const { append, row } = await alternate(
      {
        append: () =>
          repeat(chain =>
            client.query({
              name: 'append',
              text: 'select from saasctl.audit_append($1, $2, $3, $4, $5, $6)',
              values: [chain, 'somebody', 'asserted', action, chain, payload]
            })
          ),
        row: () => repeat(chain => client.query({ name: 'row', text: bare, values: [chain, action, payload] }))
      },
      { rounds: 30, warmUp: 5 }
    )
    figure({
      what: 'audit append, per second',
      measured: `${Math.round((perRound * 1000) / append.median)}/s (${ms(append.median / perRound)})`,
      against: `a bare chained insert ${Math.round((perRound * 1000) / row.median)}/s (${ms(row.median / perRound)})`,
      ratio: row.median / append.median
    })
  })
} finally {
  await plane.close()
}
