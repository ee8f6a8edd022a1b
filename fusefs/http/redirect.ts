/** The target of a redirect, and whether it may be followed. */
import { HttpFailure, shownUrl } from './http-failure.js'

export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

/**
 * The URL that the header value `location` leads to from `from`. A user and a password in it are
 * removed. Throws an `HttpFailure` `redirect` for any other scheme than http and https, and for a
 * redirect from https to http.
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
