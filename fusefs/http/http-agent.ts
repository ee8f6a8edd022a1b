/** Connections to HTTP servers: a bounded pool for each origin, kept alive. */
import { rootCertificates } from 'node:tls'
import { Agent } from 'undici'
import type { AddressPolicy } from './address-policy.js'
import { guardedConnector } from './guarded-connector.js'
import { type ConnectionLimits, DEFAULT_CONNECTION_LIMITS } from './http-limits.js'

/**
 * An agent that several users may share. The caller closes it. `limits` replaces single defaults.
 */
export function createHttpAgent(options: {
  limits?: Partial<ConnectionLimits>
  /** PEM texts, trusted in addition to the certificates of Node.js. Default: none. */
  certificateAuthorities?: readonly string[]
  /** The addresses that may be connected to. Default: all. */
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
    // One request at a time on a connection: a short range must not wait for a long one.
    pipelining: 1,
    headersTimeout: limits.headersTimeoutMs,
    bodyTimeout: limits.bodyInactivityTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
    keepAliveMaxTimeout: limits.keepAliveMs,
    connect:
      options.addresses === undefined ? connect : guardedConnector(connect, options.addresses),
  })
}
