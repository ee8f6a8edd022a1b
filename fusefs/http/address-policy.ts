/**
 * To which addresses connections may be made. Judged is the address that is connected to, not the
 * name: a name may resolve to another address a moment later. What a stranger wrote must not make
 * this machine talk to itself, to its link or to a private network, which the stranger cannot reach.
 */
import { isIP } from 'node:net'
import { HttpFailure } from './http-failure.js'

export type AddressClass = 'public' | 'private' | 'link-local' | 'loopback'

/** A host as URLs name it: a name or an address without brackets, in lower case. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface AddressPolicyOptions {
  /**
   * The server whose address nobody questions: the operator named it. Where it is, there may be its
   * redirects and its token server: a registry on a private network keeps both there.
   */
  readonly home?: HostPort
  /** Other hosts that may be anywhere. */
  readonly isNamed: (at: HostPort) => boolean
  /** What helps where an address is refused, for the error's message. */
  readonly remedy: string
}

export class AddressPolicy {
  readonly #options: AddressPolicyOptions
  /** Where the home was when it was last connected to. */
  readonly #homeClasses = new Set<AddressClass>(['public'])

  constructor(options: AddressPolicyOptions) {
    this.#options = options
  }

  /** Why `at` may not be connected to at `address`; undefined where it may. */
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

/** Class of an IP address. Ranges that the internet does not route count as private: RFC 6890. */
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
    // Shared by carriers; clouds keep services there.
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
  // Addresses that stand for one of IPv4: mapped, compatible, NAT64, 6to4.
  if (isZeroUpTo(5) && groups[5] === 0xffff) return ipv4At(6)
  if (isZeroUpTo(6)) return ipv4At(6)
  if (first === 0x64 && second === 0xff9b && third === 0) return ipv4At(6)
  if (first === 0x2002) return ipv4At(1)
  if ((first & 0xffc0) === 0xfe80) return 'link-local'
  // Of all others, global unicast alone is routed; Teredo and documentation are not.
  const isGlobal = (first & 0xe000) === 0x2000
  const isSpecial = first === 0x2001 && (second === 0 || second === 0xdb8)
  return isGlobal && !isSpecial ? 'public' : 'private'
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL parser writes every form in one: no dotted quad, one run of zeros left out.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const parse = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const first = parse(head)
  if (tail === undefined) return first
  const last = parse(tail)
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
}
