#!/usr/bin/env node
/**
 * thinctl, the command line tool for thin images. Each command is one file, which adds itself to
 * the program. This file holds the parts that all commands share: signals, log, errors, exit
 * status.
 */
import { Command, CommanderError } from 'commander'
import { VERSION } from '../version.js'
import type { CommandContext } from './command-context.js'
import { errorReport } from './error-report.js'
import { exitCodeFromError } from './exit-code.js'
import { EXIT_BAD_INPUT, EXIT_OK } from './exit-status.js'
import { stderrLog } from './stderr-log.js'

type AddCommand = (program: Command, context: CommandContext) => void

/** The commands, in the order in which the help lists them. */
const COMMANDS: ReadonlyMap<string, () => Promise<AddCommand>> = new Map([
  ['convert', async () => (await import('./commands/convert-command.js')).addConvertCommand],
  ['optimize', async () => (await import('./commands/optimize-command.js')).addOptimizeCommand],
  ['profile', async () => (await import('./commands/profile-command.js')).addProfileCommand],
  ['verify', async () => (await import('./commands/verify-command.js')).addVerifyCommand],
  ['inspect', async () => (await import('./commands/inspect-command.js')).addInspectCommand],
  ['ls', async () => (await import('./commands/ls-command.js')).addLsCommand],
  ['cat', async () => (await import('./commands/cat-command.js')).addCatCommand],
  ['check', async () => (await import('./commands/check-command.js')).addCheckCommand],
  ['mount', async () => (await import('./commands/mount-command.js')).addMountCommand],
  ['serve', async () => (await import('./commands/serve-command.js')).addServeCommand],
  ['status', async () => (await import('./commands/status-command.js')).addStatusCommand],
  ['pause', async () => (await import('./commands/background-command.js')).addPauseCommand],
  ['resume', async () => (await import('./commands/background-command.js')).addResumeCommand],
  ['repair', async () => (await import('./commands/repair-command.js')).addRepairCommand],
  ['shutdown', async () => (await import('./commands/shutdown-command.js')).addShutdownCommand],
])

const program = new Command('thinctl')
  .description('Makes, serves and examines thin images.')
  .version(VERSION)
  .option('-v, --verbose', 'say more on standard error', false)
  .showHelpAfterError('(add --help for the options)')
  .exitOverride()

const context: CommandContext = {
  log: stderrLog(() => program.opts<{ verbose: boolean }>().verbose),
  signal: interruptSignal(),
}
for (const load of chosenCommands(process.argv.slice(2))) (await load())(program, context)

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

/**
 * The command that the arguments name; all commands where they name none. Loading all takes as long
 * as a small command runs.
 */
function chosenCommands(args: readonly string[]): (() => Promise<AddCommand>)[] {
  const named = COMMANDS.get(args.find((word) => !word.startsWith('-')) ?? '')
  return named === undefined ? [...COMMANDS.values()] : [named]
}

/**
 * A signal that the first SIGINT or SIGTERM aborts, so that a command can clean up. The second one
 * ends the process.
 */
function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      controller.abort(new Error(`received ${name}`))
    })
  }
  return controller.signal
}

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has printed the message already. --help and --version are not errors.
    return error.exitCode === 0 ? EXIT_OK : EXIT_BAD_INPUT
  }
  process.stderr.write(`thinctl: ${errorReport(error)}\n`)
  return exitCodeFromError(error)
}
