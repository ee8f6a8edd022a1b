/** Makes connections to addresses that a policy allows, and to no others. */
import { lookup, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import type { AddressPolicy, HostPort } from './address-policy.js'

export function guardedConnector(
  options: buildConnector.BuildOptions,
  policy: AddressPolicy,
): buildConnector.connector {
  const connectors = new Map<string, buildConnector.connector>()
  return (to, callback) => {
    const at = hostPortOf(to)
    // A name is judged where it is resolved; an address in the URL is never resolved.
    const refusal = isIP(at.host) === 0 ? undefined : policy.refusal(at, at.host)
    if (refusal !== undefined) {
      callback(refusal, null)
      return
    }
    const key = `${at.host}:${at.port}`
    // One for each server, as `lookup` is not told the port; it also keeps the TLS sessions.
    const connect =
      connectors.get(key) ?? buildConnector({ ...options, lookup: guarded(at, policy) })
    if (connectors.size >= MAX_CONNECTORS) connectors.clear()
    connectors.set(key, connect)
    connect(to, callback)
  }
}

/** Servers remembered; redirects may lead to any number of them. */
const MAX_CONNECTORS = 256

/** Resolves a name to the addresses that are allowed; an error where there are none. */
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
