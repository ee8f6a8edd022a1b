/**
 * Adds credentials to HTTP requests. A layer above this one implements it and keeps the
 * credentials.
 */
export interface Authorizer {
  /** Headers for a request to `url`. Empty if no credentials for it are known yet. May reject. */
  headersFor(url: URL): Promise<Record<string, string>>
  /**
   * Called once after an answer 401 to `url`, with the value of its header `WWW-Authenticate`. True
   * if new credentials were obtained: the client then sends the request again. May reject.
   */
  challenge(url: URL, wwwAuthenticate: string): Promise<boolean>
}
