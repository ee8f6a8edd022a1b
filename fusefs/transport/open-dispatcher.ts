/** Builds a dispatcher, for a thread of its own or for the server's own thread. */
import { Filesystem } from '../filesystem/filesystem.js'
import type { TreeSource } from '../trees/tree-source.js'
import { printRequestHeader } from '../wire/print.js'
import { Dispatcher } from './dispatcher.js'
import type { DispatcherData, DispatcherMessage, MirrorMessage } from './dispatcher-messages.js'
import { LocalMirrors } from './local-mirrors.js'
import { RequestHandler } from './request-handler.js'
import { StatsRow } from './server-stats.js'

export interface OpenDispatcherModules {
  /** The caller closes it. */
  readonly trees: TreeSource
  readonly post: (message: DispatcherMessage) => void
  /** Takes the next message of the server without waiting; `undefined` when there is none. */
  readonly receive: () => MirrorMessage | undefined
}

export function openDispatcher(data: DispatcherData, modules: OpenDispatcherModules): Dispatcher {
  const { trees, post, receive } = modules
  const stats = new StatsRow(data.stats, data.statsRow)
  const root = data.trees.kind === 'registry' ? 'trees' : 'tree'
  const handler = new RequestHandler(
    { class: data.trees.class },
    {
      filesystem: new Filesystem({ root }, { trees }),
      content: new LocalMirrors({
        receive,
        onForgotten: (slot, pack) => {
          post({ kind: 'forgotten', slot, pack })
        },
      }),
      onFault: (error, request) => {
        stats.countFault()
        const cause = error instanceof Error ? error : new Error(String(error))
        post({ kind: 'fault', request: printRequestHeader(request), error: cause })
      },
    },
  )
  return new Dispatcher(data, { handler, stats, post })
}
