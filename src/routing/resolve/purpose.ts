import { isRecord } from './payload.js'

/** Where issuers write what a token is for: Keycloak, Auth0 and Cognito, Django, Flask each have their own. */
const places = ['typ', 'token_use', 'token_type', 'type', 'use']

/** Whether a token is for getting others and not for access; it lives for weeks and must open nothing. */
export function isRefresh(header: unknown, payload: unknown): boolean {
  return [header, payload].some(part => isRecord(part) && places.some(place => isRefreshWord(part[place])))
}

function isRefreshWord(value: unknown): boolean {
  return typeof value === 'string' && /^(?:application\/)?(?:refresh|offline|rt\+jwt$)/i.test(value)
}
