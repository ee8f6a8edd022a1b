/** `thinctl repair`: repairs a snapshot database that is damaged or missing. */
import type { Command } from 'commander'
import { DEFAULT_CONFIG_PATH, loadConfig } from '../../config/index.js'
import { repairDatabase } from '../../node/snapshots/database-repair.js'

export function addRepairCommand(program: Command): void {
  program
    .command('repair')
    .description('repair the snapshot database (snapshots.db) of a daemon that says it is damaged')
    .option('-c, --config <file>', `configuration of the daemon (default ${DEFAULT_CONFIG_PATH})`)
    .option('--reset', 'start with an empty database: every image has to be pulled again')
    .action(async (options: { config?: string; reset?: true }) => {
      const { root } = await loadConfig(options.config)
      const result = await repairDatabase(root, { reset: options.reset === true })
      if (result === undefined) {
        process.stdout.write('the snapshot database is whole\n')
        return
      }
      const { kept, lostDirectories, savedAs } = result
      process.stdout.write(
        `the new database has ${kept} snapshots; ${lostDirectories} directories belong to none of them\n` +
          (savedAs === undefined ? '' : `the damaged file is now ${savedAs}\n`),
      )
    })
}
