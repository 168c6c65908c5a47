import { asSaasctlError } from '../../src/errors.js'
import type { Saasctl } from '../../src/index.js'
import { addEmbeddedMysql } from '../../src/saasctl.js'
import { enterTenant } from '../cast.js'
import type { Narrator } from '../narrator.js'

/** A tenant on the other engine, in the same catalog. Gives its slug; undefined where there is no server for it. */
export async function mysqlChapter(saasctl: Saasctl, { chapter, say, tell }: Narrator): Promise<string | undefined> {
  chapter('A neighbour on MySQL, in the same catalog')
  if (!saasctl.embedded) {
    say('The configured catalog has its own servers: none is added to it for a story.')
    return undefined
  }
  try {
    await tell(
      () => addEmbeddedMysql(saasctl, say),
      ({ flavour, version, port }) =>
        `A private ${flavour === 'mariadb' ? 'MariaDB' : 'MySQL'} ${version} runs on port ${port}.`
    )
  } catch (thrown) {
    if (asSaasctlError(thrown).code !== 'TOOL_MISSING') throw thrown
    say('NO MARIADB AND NO MYSQL ON THIS MACHINE: this tenant is left out. Install mariadb-server, and tell it again.')
    return undefined
  }
  const wish = { slug: 'umbrella', plan: 'pro', engine: 'mysql' } as const
  await tell(
    () => enterTenant(saasctl, wish),
    ({ tenant }) => `umbrella (pro) is active in database ${tenant.database}: the same template, the same verbs.`
  )
  return wish.slug
}
