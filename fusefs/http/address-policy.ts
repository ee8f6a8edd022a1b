/**
 * Decides which addresses this machine may connect to. The policy judges the address of the
 * connection, not the host's name, because a name may resolve to another address a moment later. A
 * URL written by a stranger must not make this machine talk to itself, to its link or to a private
 * network: the stranger cannot reach those.
 */
import { isIP } from 'node:net'
import { HttpFailure } from './http-failure.js'

export type AddressClass = 'public' | 'private' | 'link-local' | 'loopback'

export interface HostPort {
  /** A name, or an address without brackets; in lower case. */
  readonly host: string
  readonly port: number
}

export interface AddressPolicyOptions {
  /**
   * The server that the operator named. It may have any address. Its redirects and its token server
   * may have addresses of the same class, because a registry on a private network keeps both there.
   * Default: no server.
   */
  readonly home?: HostPort
  /** Whether the operator named this server, too. Such a server may have any address. */
  readonly isNamed: (at: HostPort) => boolean
  /** Advice for the error's message when an address is refused. */
  readonly remedy: string
}

export class AddressPolicy {
  readonly #options: AddressPolicyOptions
  /** Classes that may be connected to: `public`, and those at which `home` has been found. */
  readonly #homeClasses = new Set<AddressClass>(['public'])

  constructor(options: AddressPolicyOptions) {
    this.#options = options
  }

  /**
   * The reason not to connect to `at` at this IP address: a failure `address` that is not
   * retryable. `undefined` if the connection is allowed.
   */
  refusal(at: HostPort, address: string): HttpFailure | undefined {
    const { home, isNamed, remedy } = this.#options
    const found = addressClass(address)
    if (home !== undefined && home.host === at.host && home.port === at.port) {
      this.#homeClasses.add(found)
      return undefined
    }
    if (this.#homeClasses.has(found) || isNamed(at)) return undefined
    const where = `${at.host}:${at.port} is at ${address}, a ${found} address`
    const message = `${where}, where nothing may lead that the operator did not name; ${remedy}`
    return new HttpFailure('address', message, { retryable: false })
  }
}

/**
 * The class of an IP address. Ranges that the internet does not route count as private (RFC 6890),
 * and so does a text that is no IP address.
 */
export function addressClass(address: string): AddressClass {
  const [bare = ''] = address.split('%')
  switch (isIP(bare)) {
    case 4:
      return classOfIpv4(bare.split('.').map(Number))
    case 6:
      return classOfIpv6(groupsOf(bare))
    default:
      return 'private'
  }
}

function classOfIpv4([a = 0, b = 0, c = 0]: readonly number[]): AddressClass {
  if (a === 127 || a === 0) return 'loopback'
  if (a === 169 && b === 254) return 'link-local'
  const isPrivate =
    a === 10 ||
    (a === 172 && b >= 16 && b <= 31) ||
    (a === 192 && b === 168) ||
    // 100.64.0.0/10 is shared by carriers. Clouds keep services there.
    (a === 100 && b >= 64 && b <= 127) ||
    (a === 192 && b === 0 && (c === 0 || c === 2)) ||
    (a === 198 && (b === 18 || b === 19)) ||
    (a === 198 && b === 51 && c === 100) ||
    (a === 203 && b === 0 && c === 113) ||
    // Multicast, reserved, broadcast.
    a >= 224
  return isPrivate ? 'private' : 'public'
}

function classOfIpv6(groups: readonly number[]): AddressClass {
  const [first = 0, second = 0, third = 0] = groups
  const isZeroUpTo = (count: number): boolean => groups.slice(0, count).every((one) => one === 0)
  const ipv4At = (index: number): AddressClass => {
    const [high = 0, low = 0] = groups.slice(index)
    return classOfIpv4([high >> 8, high & 0xff, low >> 8, low & 0xff])
  }
  if (isZeroUpTo(7) && (groups[7] ?? 0) <= 1) return 'loopback'
  // These IPv6 addresses contain an IPv4 address: mapped, compatible, NAT64, 6to4.
  if (isZeroUpTo(5) && groups[5] === 0xffff) return ipv4At(6)
  if (isZeroUpTo(6)) return ipv4At(6)
  if (first === 0x64 && second === 0xff9b && third === 0) return ipv4At(6)
  if (first === 0x2002) return ipv4At(1)
  if ((first & 0xffc0) === 0xfe80) return 'link-local'
  // Only global unicast addresses are routed. Those of Teredo and documentation count as private.
  const isGlobal = (first & 0xe000) === 0x2000
  const isSpecial = first === 0x2001 && (second === 0 || second === 0xdb8)
  return isGlobal && !isSpecial ? 'public' : 'private'
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL parser brings every notation into one form: no dotted quad, one run of zeros left out.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const parse = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const first = parse(head)
  if (tail === undefined) return first
  const last = parse(tail)
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
}
