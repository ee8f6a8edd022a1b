/**
 * Pauses and resumes background completion over the admin socket: `POST /v1/background/pause` and
 * `…/resume`. Both answer with the `BackgroundStatus`.
 */
import type { AdminRoutes } from './admin-server.js'
import type { BackgroundStatus } from './daemon-status.js'

/** The part of the background completer that the routes use. */
export interface PausableCompleter {
  pause(): void
  resume(): void
  status(): BackgroundStatus
}

export function backgroundRoutes(completer: PausableCompleter): AdminRoutes {
  const answer = (): Promise<{ contentType: string; body: string }> =>
    Promise.resolve({ contentType: 'application/json', body: JSON.stringify(completer.status()) })
  return {
    'POST /v1/background/pause': () => {
      completer.pause()
      return answer()
    },
    'POST /v1/background/resume': () => {
      completer.resume()
      return answer()
    },
  }
}
