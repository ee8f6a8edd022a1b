/** Completion over the admin socket: `POST /v1/background/pause` and `…/resume`. */
import type { AdminRoutes } from '../admin/admin-server.js'
import type { BackgroundCompleter } from './background-completer.js'

export function backgroundRoutes(completer: BackgroundCompleter): AdminRoutes {
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
