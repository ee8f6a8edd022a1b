/** The state of the daemon over HTTP: `GET /v1/status` as JSON, `GET /metrics` for Prometheus. */
import type { DaemonStatus } from './daemon-status.js'
import type { AdminRoutes } from './admin-server.js'

export interface StatusRoutesModules {
  readonly reporter: { status(): Promise<DaemonStatus> }
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
}

/** The two routes are returned separately, because metrics may have a listener of their own. */
export function statusRoutes(modules: StatusRoutesModules): {
  status: AdminRoutes
  metrics: AdminRoutes
} {
  const { metrics, reporter } = modules
  return {
    status: {
      'GET /v1/status': async () => {
        return { contentType: 'application/json', body: JSON.stringify(await reporter.status()) }
      },
    },
    metrics: {
      'GET /metrics': async () => {
        return { contentType: metrics.contentType, body: await metrics.text() }
      },
    },
  }
}
