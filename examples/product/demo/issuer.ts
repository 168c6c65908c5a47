import { exportSPKI, generateKeyPair, SignJWT } from 'jose'
import type { IssuerOptions } from 'saasctl/router'

/** Stands in for an identity provider. A real one has its keys at a `jwksUrl`, and knows your users' tenants. */
export interface DemoIssuer {
  /** What the product must know to believe its tokens. */
  options: IssuerOptions
  /** A token for a user of a tenant, good for an hour. */
  token(tenantId: string, userId: string): Promise<string>
}

/** Its key lives in this process only: tokens of an earlier start are worth nothing. */
export async function demoIssuer(): Promise<DemoIssuer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const iss = 'https://sign-in.example'
  const aud = 'product'
  return {
    options: { iss, aud, algorithms: ['ES256'], key: await exportSPKI(publicKey) },
    token: (tenantId, userId) =>
      new SignJWT({ tid: tenantId })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer(iss)
        .setAudience(aud)
        .setSubject(userId)
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey)
  }
}
