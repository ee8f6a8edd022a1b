/** A keeper without mounts in this process, clients that note its events, and daemons of a line. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Keeper } from '../../../../snapshotter/node/keeper/keeper.js'
import { KeeperClient } from '../../../../snapshotter/node/keeper/keeper-client.js'
import type { KeeperEvent } from '../../../../snapshotter/node/keeper/keeper-protocol.js'

/** Runs a line of JavaScript as a daemon; `say` sends to the keeper. */
export function daemonOf(script: string): string[] {
  const say = 'const say = (kind) => process.send({ kind });'
  const ends = "process.on('disconnect', () => process.exit(9));"
  return [process.execPath, '-e', `${say}${ends}${script}`, '--']
}

export const SERVES = "say('ready'); process.on('SIGTERM', () => process.exit(0))"

/** A client, and the events it was sent. */
export class NotingClient {
  readonly events: KeeperEvent[] = []
  readonly #waiting = new Set<() => void>()
  #client: KeeperClient | undefined

  static async connect(socketPath: string): Promise<NotingClient> {
    const noting = new NotingClient()
    noting.#client = await KeeperClient.connect({ socketPath }, (event) => {
      noting.events.push(event)
      for (const wake of noting.#waiting) wake()
    })
    return noting
  }

  get client(): KeeperClient {
    if (this.#client === undefined) throw new Error('not connected')
    return this.#client
  }

  /** Resolves with the first event of this kind that is not taken yet, and takes it. */
  async next<Kind extends KeeperEvent['event']>(
    kind: Kind,
  ): Promise<Extract<KeeperEvent, { event: Kind }>> {
    const isWanted = (event: KeeperEvent): event is Extract<KeeperEvent, { event: Kind }> =>
      event.event === kind
    for (;;) {
      const found = this.events.find(isWanted)
      if (found !== undefined) {
        this.events.splice(this.events.indexOf(found), 1)
        return found
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake)
          resolve()
        }
        this.#waiting.add(wake)
      })
    }
  }
}

export class RunningKeeper {
  readonly directory = mkdtempSync(join(tmpdir(), 'keeper-'))
  readonly socketPath = join(this.directory, 'keeper.sock')
  /** Resolves when a shutdown has emptied it. */
  readonly emptied: Promise<void>
  #isEmpty = false
  #markEmpty: () => void = () => undefined
  readonly #clients: NotingClient[] = []

  private constructor() {
    this.emptied = new Promise((resolve) => {
      this.#markEmpty = resolve
    })
  }

  static async start(): Promise<RunningKeeper> {
    const running = new RunningKeeper()
    const { socketPath } = running
    await Keeper.listen({ socketPath, standbyDelayMs: 0 }, () => {
      running.#isEmpty = true
      running.#markEmpty()
    })
    return running
  }

  async connect(): Promise<NotingClient> {
    const client = await NotingClient.connect(this.socketPath)
    this.#clients.push(client)
    return client
  }

  /** Ends what was started, whoever owns it. Idempotent. */
  async close(): Promise<void> {
    if (!this.#isEmpty) {
      const last = await NotingClient.connect(this.socketPath)
      last.client.shutdown({ force: true })
      await last.next('done')
      last.client.close()
    }
    for (const { client } of this.#clients) client.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
