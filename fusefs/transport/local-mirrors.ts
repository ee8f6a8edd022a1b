/**
 * The mirrors that one dispatcher thread knows, by tree and pack. The thread blocks in read(2) and
 * receives no events. So messages with new mirrors wait in its port until a read does not find its
 * bytes. Then all waiting messages are taken in.
 */
import { LRUCache } from 'lru-cache'
import { MirrorView } from '../content/mirror-view.js'
import type { MirrorMessage } from './dispatcher-messages.js'
import type { LocalContent } from './request-handler.js'

/** Views kept. Each takes a few hundred bytes. */
const DEFAULT_MAX_VIEWS = 16_384
/** Keys are `slot * 2^22 + pack`. A pack's key is below 2^22, and 2^43 is far below 2^53. */
const PACK_LIMIT = 2 ** 22

export interface LocalMirrorsModules {
  /** Takes the next message from the thread's port, if any, without waiting. */
  readonly receive: () => MirrorMessage | undefined
  /**
   * Called when the mirror of a pack is forgotten to make room for others. The server must announce
   * the mirror again at the next miss of this pack. Otherwise every read of the pack would be a
   * miss.
   */
  readonly onForgotten: (slot: number, pack: number) => void
}

export class LocalMirrors implements LocalContent {
  readonly #views: LRUCache<number, MirrorView>
  readonly #receive: () => MirrorMessage | undefined

  constructor(modules: LocalMirrorsModules, options: { maxViews?: number } = {}) {
    this.#receive = modules.receive
    this.#views = new LRUCache({
      max: options.maxViews ?? DEFAULT_MAX_VIEWS,
      dispose: (_view, key, reason) => {
        if (reason !== 'evict') return
        modules.onForgotten(Math.floor(key / PACK_LIMIT), key % PACK_LIMIT)
      },
    })
  }

  tryRead(slot: number, pack: number, target: Uint8Array, rawOffset: number): boolean {
    const view = this.#views.get(keyOf(slot, pack))
    if (view?.tryReadSync(target, rawOffset) === true) return true
    if (!this.#takeIn()) return false
    const newer = this.#views.get(keyOf(slot, pack))
    return newer !== view && newer?.tryReadSync(target, rawOffset) === true
  }

  #takeIn(): boolean {
    let any = false
    for (let message = this.#receive(); message !== undefined; message = this.#receive()) {
      this.#views.set(keyOf(message.slot, message.pack), new MirrorView(message.shared))
      any = true
    }
    return any
  }
}

function keyOf(slot: number, pack: number): number {
  return slot * PACK_LIMIT + pack
}
