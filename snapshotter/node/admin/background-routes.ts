/** Completion over the admin socket: `POST /v1/background/pause` and `…/resume`. */
import type { AdminRoutes } from './admin-server.js'
import type { BackgroundStatus } from './daemon-status.js'

/** Completes images in the background. */
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
