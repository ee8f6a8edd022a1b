/** Makes connections only to addresses that a policy allows. */
import { lookup, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import type { AddressPolicy, HostPort } from './address-policy.js'

/**
 * A connector for an undici agent. For an address that `policy` refuses, it fails with the policy's
 * `HttpFailure`.
 */
export function guardedConnector(
  options: buildConnector.BuildOptions,
  policy: AddressPolicy,
): buildConnector.connector {
  const connectors = new Map<string, buildConnector.connector>()
  return (to, callback) => {
    const at = hostPortOf(to)
    // `lookup` judges names, when it resolves them. It is not called for an address in the URL.
    const refusal = isIP(at.host) === 0 ? undefined : policy.refusal(at, at.host)
    if (refusal !== undefined) {
      callback(refusal, null)
      return
    }
    const key = `${at.host}:${at.port}`
    // One connector for each server, because `lookup` does not get the port. A connector also keeps
    // the server's TLS sessions.
    const connect =
      connectors.get(key) ?? buildConnector({ ...options, lookup: guarded(at, policy) })
    if (connectors.size >= MAX_CONNECTORS) connectors.clear()
    connectors.set(key, connect)
    connect(to, callback)
  }
}

/** Servers whose connectors are kept. Redirects may lead to any number of servers. */
const MAX_CONNECTORS = 256

/** Resolves a name to those of its addresses that are allowed. An error if there are none. */
function guarded(at: HostPort, policy: AddressPolicy): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, '')
        return
      }
      const refusals = found.map(({ address }) => policy.refusal(at, address))
      const allowed = found.filter((_address, i) => refusals[i] === undefined)
      const refusal = refusals.find((one) => one !== undefined)
      const [first] = allowed
      if (first === undefined) callback(refusal ?? new Error(`no address of ${hostname}`), '')
      else if (options.all === true) callback(null, allowed satisfies LookupAddress[])
      else callback(null, first.address, first.family)
    })
  }
}

function hostPortOf(to: buildConnector.Options): HostPort {
  const host = to.hostname.replace(/^\[|\]$/g, '').toLowerCase()
  const port = to.port === '' ? (to.protocol === 'https:' ? 443 : 80) : Number(to.port)
  return { host, port }
}
