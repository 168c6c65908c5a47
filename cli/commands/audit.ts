import type { Command } from 'commander'
import { collectNames, counted } from '../flags.js'
import { verb } from '../help.js'
import { withDesk, withSaasctl } from '../session.js'
import { certificate, checkpoint, exportTrail, key } from './audit/hand-out.js'
import { list, show } from './audit/look.js'
import { verify, verifyFile } from './audit/verify.js'

export function audit(noun: Command): void {
  verb(noun, 'list', 'List events, newest first', [
    'audit list --tenant acme',
    'audit list --action tenant.shell --since 30d  # who looked inside',
    'audit list --actor ada --before server#3  # the next page'
  ])
    .alias('ls')
    .option('--tenant <slug>', 'those on one tenant, by slug or id')
    .option('--chain <name>', 'those of one chain, such as server or operator')
    .option('--actor <name>', 'those by one operator')
    .option('--action <name>', 'those of one kind: tenant.delete, or all of tenant')
    .option('--since <when>', 'from then on: 30d, or 2026-11-01')
    .option('--until <when>', 'before then')
    .option('--before <event>', 'begin before this event')
    .option('--limit <n>', 'at most so many', counted, 50)
    .action(withSaasctl(list))
  verb(noun, 'show <event>', 'Show one event with all that it says', ['audit show server#3'])
    .alias('get')
    .action(withSaasctl(show))
  verb(noun, 'verify [file]', 'Look whether anybody has changed the trail; exit 8 when somebody has', [
    'audit verify',
    'audit verify --checkpoint kept/checkpoint-12 --key signing.pem',
    'audit verify --checkpoint s3://elsewhere/checkpoint-12 --key signing.pem',
    'audit verify trail.ndjson --key signing.pem  # an exported trail, without the catalog'
  ])
    .option('--tenant <slug>', 'the chain of one tenant alone')
    .option(
      '--checkpoint <file>',
      'a checkpoint that was kept elsewhere: a file, or file:// or s3:// of one in a store'
    )
    .option('--key <files>', 'public keys that are trusted, in PEM; this machine’s own unless given', collectNames)
    .action((file, ...more) => (file === undefined ? withSaasctl(verify) : withDesk(verifyFile))(file, ...more))
  verb(noun, 'checkpoint', 'Sign where every chain ends now', [
    'audit checkpoint --to s3://elsewhere  # as checkpoint-12 and so on, never over one that is there',
    'audit checkpoint --out /mnt/elsewhere/checkpoint-12  # with its signature and the heads beside it'
  ])
    .option('--out <file>', 'a new file for it; FILE.sig and FILE.heads come beside it')
    .option('--to <store>', 'file:///FOLDER or s3://BUCKET/PREFIX to keep it in')
    .action(withSaasctl(checkpoint))
  verb(noun, 'export', 'Write the trail as lines of JSON that verify offline', [
    'audit export --out trail.ndjson',
    'audit export --tenant acme > acme.ndjson',
    'audit export --to s3://elsewhere/trails'
  ])
    .option('--tenant <slug>', 'the chain of one tenant alone')
    .option('--out <file>', 'a new file for it; without it, it is printed')
    .option('--to <store>', 'file:///FOLDER or s3://BUCKET/PREFIX to keep it in, under a name with the time')
    .action(withSaasctl(exportTrail))
  verb(noun, 'key', 'Print the public keys of signatures, the present one first', [
    'audit key > signing.pem',
    'audit key --rotate  # a new key; the old one is kept to verify with'
  ])
    .option('--rotate', 'put a new key in the place of the present one')
    .action(withSaasctl(key))
  verb(noun, 'certificate <tenant>', 'Print the certificate of an erasure, by the tenant’s id', [
    'audit certificate 0198c5d2-… --out erased-0198c5d2  # with its signature in erased-0198c5d2.sig'
  ])
    .option('--out <file>', 'a new file for it; FILE.sig comes beside it')
    .action(withSaasctl(certificate))
}
