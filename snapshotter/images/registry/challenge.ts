/** Parses `WWW-Authenticate` (RFC 9110, 11.6.1). Registries use the schemes Basic and Bearer. */

export type Challenge =
  | { readonly scheme: 'basic' }
  | {
      readonly scheme: 'bearer'
      readonly realm: string
      readonly service?: string
      /** Space-separated, as in `repository:app:pull,push`. */
      readonly scope?: string
    }

const MAX_HEADER_LENGTH = 8192
/** Matches a scheme, which no `=` follows, or a parameter with its plain or quoted value. */
const PIECE =
  /([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9!#$%&'*+.^_`|~:/?-]+)))?/g

/**
 * The Bearer challenges of the header, then Basic if the header has it. Other schemes, and Bearer
 * challenges without a valid realm, are left out. Only the first 8,192 characters are read.
 */
export function parseChallenges(header: string): Challenge[] {
  const found: { scheme: string; parameters: Map<string, string> }[] = []
  for (const match of header.slice(0, MAX_HEADER_LENGTH).matchAll(PIECE)) {
    const [, name = '', quoted, token] = match
    const value = quoted?.replace(/\\(.)/g, '$1') ?? token
    if (value === undefined) found.push({ scheme: name.toLowerCase(), parameters: new Map() })
    else found.at(-1)?.parameters.set(name.toLowerCase(), value)
  }
  const bearer = found.filter((one) => one.scheme === 'bearer').flatMap(bearerFrom)
  const basic = found.some((one) => one.scheme === 'basic')
  return basic ? [...bearer, { scheme: 'basic' }] : bearer
}

function bearerFrom({ parameters }: { parameters: Map<string, string> }): Challenge[] {
  const realm = parameters.get('realm')
  if (realm === undefined || !URL.canParse(realm)) return []
  const service = parameters.get('service')
  const scope = parameters.get('scope')
  return [
    {
      scheme: 'bearer',
      realm,
      ...(service === undefined ? {} : { service }),
      ...(scope === undefined ? {} : { scope }),
    },
  ]
}
