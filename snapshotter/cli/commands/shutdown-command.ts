/** `thinctl shutdown`: ends the daemon, its mounts and the keeper. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { DEFAULT_CONFIG_PATH, loadConfig } from '../../config/index.js'
import { SnapshotterError } from '../../errors.js'
import { KeeperClient } from '../../node/keeper/keeper-client.js'

export function addShutdownCommand(program: Command): void {
  program
    .command('shutdown')
    .description('end the daemon and unmount its trees; refuses while containers use them')
    .option('-c, --config <file>', `configuration of the daemon (default ${DEFAULT_CONFIG_PATH})`)
    .option('--force', 'unmount even what is in use: reads in those containers fail from then on')
    .action(async (options: { config?: string; force?: true }) => {
      const config = await loadConfig(options.config)
      await shutdown(join(config.state, 'keeper.sock'), options.force === true)
    })
}

async function shutdown(socketPath: string, force: boolean): Promise<void> {
  let refusal: string | undefined
  const client = await KeeperClient.connect({ socketPath }, (event) => {
    if (event.event !== 'failed') return
    refusal = event.message
    client.close()
  })
  client.shutdown({ force })
  // The connection closes when the keeper ends, after the mounts are gone.
  await client.closed()
  if (refusal !== undefined) throw new SnapshotterError('failed-precondition', refusal)
}
