import { readFile } from 'node:fs/promises'
import { controlPlane } from '../test/support/control-plane.js'
import { alternate } from './support/measure.js'
import { figure, ms, note } from './support/report.js'

// The function that alone may append, beside the least that a chained row can be: one statement that locks the chain's
// head, hashes, inserts and moves the head. By the clock, with the way there and back; and where the kernel says it, by the
// time that the server's own process had the processor, which neighbours do not change.
const perRound = 50
const [, , asked = '30'] = process.argv

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
    // Nobody but a function may write the trail: what that alone costs is not the text's doing.
    const inside = bare.replaceAll('$2', '$4').replaceAll('$3', '$6')
    await client.query(`
      create function bench_append(chain text, actor text, proof text, action text, subject text, payload text) returns void
      language plpgsql security definer as $function$
      #variable_conflict use_column
      begin ${inside}; end $function$`)
    const action = 'tenant.update'
    const payload = JSON.stringify({ before: { plan: 'free' }, after: { plan: 'pro' }, reason: 'upgrade' })
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    const path = `/proc/${rows[0]?.pid}/schedstat`
    /** Milliseconds that the server's process had a core; nothing where no kernel says so. */
    const onCore = () =>
      readFile(path, 'utf8').then(
        text => Number(text.split(' ')[0]) / 1e6,
        () => undefined
      )
    const spent = { append: [] as number[], row: [] as number[], wrapped: [] as number[] }
    const repeat = async (what: keyof typeof spent, append: (chain: string) => Promise<unknown>) => {
      const before = await onCore()
      for (let index = 0; index < perRound; index += 1) await append(`tenant:${index}`)
      const after = await onCore()
      if (before !== undefined && after !== undefined) spent[what].push(after - before)
    }
    const call = (name: string, chain: string) =>
      client.query({
        name,
        text: `select ${name}($1, $2, $3, $4, $5, $6)`,
        values: [chain, 'somebody', 'asserted', action, chain, payload]
      })
    const { append, row } = await alternate(
      {
        append: () => repeat('append', chain => call('saasctl.audit_append', chain)),
        wrapped: () => repeat('wrapped', chain => call('bench_append', chain)),
        row: () => repeat('row', chain => client.query({ name: 'row', text: bare, values: [chain, action, payload] }))
      },
      { rounds: Number(asked), warmUp: 5 }
    )
    figure({
      what: 'audit append, per second',
      measured: `${Math.round((perRound * 1000) / append.median)}/s (${ms(append.median / perRound)})`,
      against: `a bare chained insert ${Math.round((perRound * 1000) / row.median)}/s (${ms(row.median / perRound)})`,
      ratio: row.median / append.median,
      target: { atLeast: 0.8 }
    })
    const [ours, wrapped, least] = [spent.append, spent.wrapped, spent.row].map(median)
    if (ours !== undefined && wrapped !== undefined && least !== undefined) {
      note(`of the server's own time ${micro(ours)} an event, against ${micro(least)}: ${(least / ours).toFixed(2)}x`)
      note(
        `the bare one in a function takes ${micro(wrapped)}: ${(wrapped / ours).toFixed(2)}x; above it are the canonical text, two hashes and the salt`
      )
    }
  })
} finally {
  await plane.close()
}

function median(values: number[]): number | undefined {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]
}

function micro(milliseconds: number): string {
  return `${((milliseconds * 1000) / perRound).toFixed(1)} µs`
}
