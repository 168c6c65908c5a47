import { once } from 'node:events'
import { createServer } from 'node:net'
import { SaasctlError } from 'saasctl'

const usual = 3000

/**
 * The port to listen on: the one that was asked for, else 3000, else any that is free (0). INVALID_INPUT when what was asked
 * for is no port, or not to be had.
 */
export async function choosePort(asked: string | undefined): Promise<number> {
  if (asked === undefined || asked === '') return (await obstacle(usual)) === undefined ? usual : 0
  const port = /^\d{1,5}$/.test(asked) ? Number(asked) : Number.NaN
  if (!(port <= 65_535)) {
    throw new SaasctlError('INVALID_INPUT', `PORT is ${JSON.stringify(asked.slice(0, 40))}, which is no port.`, {
      hint: 'Give a number up to 65535, or leave PORT out.'
    })
  }
  const code = await obstacle(port)
  if (code !== undefined) {
    throw new SaasctlError(
      'INVALID_INPUT',
      code === 'EADDRINUSE' ? `Port ${port} is taken.` : `Port ${port} cannot be had: ${code}.`,
      { hint: 'Give another as PORT, or leave PORT out for one that is free.' }
    )
  }
  return port
}

async function obstacle(port: number): Promise<string | undefined> {
  const probe = createServer().listen({ port, host: '127.0.0.1' })
  try {
    await once(probe, 'listening')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
  probe.close()
  await once(probe, 'close')
  return undefined
}
