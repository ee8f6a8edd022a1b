/** Adds credentials to HTTP requests; implemented above this layer, where credentials are kept. */
export interface Authorizer {
  /** Headers for a request to `url`, from what is already known. Empty where nothing is needed. */
  headersFor(url: URL): Promise<Record<string, string>>
  /**
   * Called once after a 401 with its `WWW-Authenticate` value; true when new credentials were
   * obtained and the request is worth sending again.
   */
  challenge(url: URL, wwwAuthenticate: string): Promise<boolean>
}
