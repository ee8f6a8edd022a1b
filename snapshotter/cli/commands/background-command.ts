/** `thinctl pause` and `thinctl resume`: stop and continue completing images in the background. */
import type { Command } from 'commander'
import { askDaemon } from '../../node/admin/admin-client.js'
import { DEFAULT_CONFIG_PATH, loadConfig } from '../../config/index.js'
import type { CommandContext } from '../command-context.js'

const DESCRIPTIONS = {
  pause: 'stop completing images in the background, until resume or the next start of the daemon',
  resume: 'go on completing images in the background',
} as const

export function addPauseCommand(program: Command, context: CommandContext): void {
  addCommand('pause', program, context)
}

export function addResumeCommand(program: Command, context: CommandContext): void {
  addCommand('resume', program, context)
}

function addCommand(
  verb: keyof typeof DESCRIPTIONS,
  program: Command,
  { signal }: CommandContext,
): void {
  program
    .command(verb)
    .description(DESCRIPTIONS[verb])
    .option('-c, --config <file>', `configuration of the daemon (default ${DEFAULT_CONFIG_PATH})`)
    .action(async (options: { config?: string }) => {
      const config = await loadConfig(options.config)
      await askDaemon(config.adminAddress, 'POST', `/v1/background/${verb}`, signal)
    })
}
