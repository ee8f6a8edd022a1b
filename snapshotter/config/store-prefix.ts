/**
 * The beginning of store URLs, as `[stores] allow` lists it: `oci+https://host/`,
 * `oci+https://host:5000/team/`, `http://host:*` for every port, `https://` for every host, `file:///dir/`.
 */

export type StorePrefix =
  | { readonly kind: 'file'; /** Absolute, with a slash at its end. */ readonly directory: string }
  | {
      readonly kind: 'http'
      readonly isRegistry: boolean
      readonly protocol: 'http:' | 'https:'
      /** Lower case, without brackets; undefined: every host. */
      readonly host: string | undefined
      /** Undefined: every port. */
      readonly port: number | undefined
      /** Begins with a slash. */
      readonly path: string
    }

const HTTP =
  /^(oci\+)?(https?:)\/\/(?:(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?))(?::(\d{1,5}|\*))?(\/[^?#\s]*)?)?$/

/** Undefined for a text that is no such beginning. */
export function storePrefixFrom(text: string): StorePrefix | undefined {
  if (text.startsWith('file:///')) {
    const directory = directoryFrom(text)
    return directory === undefined ? undefined : { kind: 'file', directory }
  }
  const match = HTTP.exec(text)
  if (match === null) return undefined
  const [, oci, scheme, ipv6, name, port, path = '/'] = match
  const protocol = scheme === 'https:' ? 'https:' : 'http:'
  const host = (ipv6 === undefined ? name : canonicalIpv6(ipv6))?.toLowerCase()
  if (ipv6 !== undefined && host === undefined) return undefined
  const defaultPort = protocol === 'https:' ? 443 : 80
  return {
    kind: 'http',
    isRegistry: oci !== undefined,
    protocol,
    host,
    port: host === undefined || port === '*' ? undefined : Number(port ?? defaultPort),
    path: path.endsWith('/') ? path : `${path}/`,
  }
}

function directoryFrom(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { pathname } = new URL(text)
  try {
    const directory = decodeURIComponent(pathname)
    if (directory.includes('\0')) return undefined
    return directory.endsWith('/') ? directory : `${directory}/`
  } catch {
    return undefined
  }
}

function canonicalIpv6(text: string): string | undefined {
  const url = `http://[${text}]/`
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : undefined
}
