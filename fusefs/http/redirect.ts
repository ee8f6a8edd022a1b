/** Where a redirect leads, if it may be followed. */
import { HttpFailure, shownUrl } from './http-failure.js'

export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

/**
 * The target of `location`, without the user and password it may name. Throws a `redirect` failure
 * where it is no http or https URL, and where it would leave TLS.
 */
export function redirectTarget(from: URL, location: string): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined
  const isHttp = target?.protocol === 'http:' || target?.protocol === 'https:'
  const isDowngrade = from.protocol === 'https:' && target?.protocol !== 'https:'
  if (target === undefined || !isHttp || isDowngrade) {
    const shown = location.split('?')[0]?.slice(0, 200) ?? ''
    throw new HttpFailure(
      'redirect',
      `${shownUrl(from)} redirects to "${shown}", which is not followed`,
      { retryable: false },
    )
  }
  target.username = ''
  target.password = ''
  return target
}
