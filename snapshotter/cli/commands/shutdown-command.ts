/** `thinctl shutdown`: ends the daemon, its mounts and the keeper. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { type Config, DEFAULT_CONFIG_PATH, loadConfig } from '../../config/index.js'
import { SnapshotterError } from '../../errors.js'
import { removeAbandonedMounts } from '../../node/keeper/held-mounts.js'
import { KeeperClient } from '../../node/keeper/keeper-client.js'
import { overlayAbove } from '../../node/keeper/overlay-above.js'
import { mountpointsUnder, TREE_CLASSES } from '../../node/mountpoints.js'

export function addShutdownCommand(program: Command): void {
  program
    .command('shutdown')
    .description('end the daemon and unmount its trees; refuses while containers use them')
    .option('-c, --config <file>', `configuration of the daemon (default ${DEFAULT_CONFIG_PATH})`)
    .option('--force', 'unmount even what is in use: reads in those containers fail from then on')
    .action(async (options: { config?: string; force?: true }) => {
      const config = await loadConfig(options.config)
      await shutdown(config, options.force === true)
    })
}

async function shutdown(config: Config, force: boolean): Promise<void> {
  let refusal: string | undefined
  let client: KeeperClient
  try {
    client = await KeeperClient.connect(
      { socketPath: join(config.state, 'keeper.sock') },
      (event) => {
        if (event.event !== 'failed') return
        refusal = event.message
        client.close()
      },
    )
  } catch (error) {
    if (await clearAway(config.root, force)) return
    throw error
  }
  client.shutdown({ force })
  // The connection closes when the keeper ends, after the mounts are gone.
  await client.closed()
  if (refusal !== undefined) throw new SnapshotterError('failed-precondition', refusal)
}

/**
 * Unmounts the trees of a keeper that has died. Returns false if none is mounted. Without `force`,
 * throws `failed-precondition` if a container uses them.
 */
async function clearAway(root: string, force: boolean): Promise<boolean> {
  const mountpoints = TREE_CLASSES.map((name) => mountpointsUnder(root)[name])
  const user = force ? undefined : await overlayAbove(mountpoints)
  if (user !== undefined) {
    throw new SnapshotterError(
      'failed-precondition',
      `the keeper has died, and ${user} is mounted over its trees; end its container first, or shut down with --force`,
    )
  }
  return (await removeAbandonedMounts(mountpoints)).length > 0
}
