/** The connections to all HTTP servers: one pool per origin, kept alive, bounded. */
import { rootCertificates } from 'node:tls'
import { Agent } from 'undici'
import type { AddressPolicy } from './address-policy.js'
import { guardedConnector } from './guarded-connector.js'
import { type ConnectionLimits, DEFAULT_CONNECTION_LIMITS } from './http-limits.js'

/** An agent that several users may share; its creator closes it. */
export function createHttpAgent(options: {
  limits?: Partial<ConnectionLimits>
  /** Certificates, PEM, that are trusted beside those that Node.js brings. */
  certificateAuthorities?: readonly string[]
  /** Which addresses may be connected to. Default: all. */
  addresses?: AddressPolicy | undefined
}): Agent {
  const limits = { ...DEFAULT_CONNECTION_LIMITS, ...options.limits }
  const ca = options.certificateAuthorities
  const connect = {
    timeout: limits.connectTimeoutMs,
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ...ca] }),
  }
  return new Agent({
    connections: limits.connectionsPerOrigin,
    // One request at a time on a connection: a long range must not hold up a short one.
    pipelining: 1,
    headersTimeout: limits.headersTimeoutMs,
    bodyTimeout: limits.bodyInactivityTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
    keepAliveMaxTimeout: limits.keepAliveMs,
    connect:
      options.addresses === undefined ? connect : guardedConnector(connect, options.addresses),
  })
}
