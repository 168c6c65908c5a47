import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { json } from 'node:stream/consumers'

export interface Question {
  /** The Host header, which fetch would not let us choose. */
  host: string
  token: string
  method?: 'GET' | 'POST'
  path: string
  body?: object
}

export interface Answer<T> {
  status: number
  body: T
}

/** Sends one request as a client would, and reads its answer. */
export async function ask<T>(base: string, { host, token, method, path, body }: Question): Promise<Answer<T>> {
  const headers = { host, authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) }
  const sent = request(`${base}${path}`, { headers, method: method ?? (body ? 'POST' : 'GET') })
  sent.end(body && JSON.stringify(body))
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, body: (await json(response)) as T }
}
