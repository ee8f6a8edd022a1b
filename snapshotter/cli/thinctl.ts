#!/usr/bin/env node
/**
 * thinctl: everything about thin images that is not the daemon. Each command is one file that adds
 * itself to the program; what they have in common is here: signals, the log, errors, exit status.
 */
import { Command, CommanderError } from 'commander'
import { VERSION } from '../version.js'
import type { CommandContext } from './command-context.js'
import { addBackgroundCommands } from './commands/background.js'
import { addCatCommand } from './commands/cat.js'
import { addCheckCommand } from './commands/check.js'
import { addConvertCommand } from './commands/convert.js'
import { addInspectCommand } from './commands/inspect.js'
import { addLsCommand } from './commands/ls.js'
import { addMountCommand } from './commands/mount.js'
import { addOptimizeCommand } from './commands/optimize.js'
import { addProfileCommand } from './commands/profile.js'
import { addServeCommand } from './commands/serve.js'
import { addShutdownCommand } from './commands/shutdown.js'
import { addStatusCommand } from './commands/status.js'
import { addVerifyCommand } from './commands/verify.js'
import { errorReport } from './error-report.js'
import { EXIT_BAD_INPUT, EXIT_OK, exitCodeFromError } from './exit-code.js'
import { stderrLog } from './stderr-log.js'

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
addConvertCommand(program, context)
addOptimizeCommand(program, context)
addProfileCommand(program, context)
addVerifyCommand(program, context)
addInspectCommand(program, context)
addLsCommand(program, context)
addCatCommand(program, context)
addCheckCommand(program, context)
addMountCommand(program, context)
addServeCommand(program, context)
addStatusCommand(program, context)
addBackgroundCommands(program, context)
addShutdownCommand(program)

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}

/** The first SIGINT or SIGTERM aborts, so that a command can clean up; the second one kills. */
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
    // Commander has said it already; help and --version are not errors.
    return error.exitCode === 0 ? EXIT_OK : EXIT_BAD_INPUT
  }
  process.stderr.write(`thinctl: ${errorReport(error)}\n`)
  return exitCodeFromError(error)
}
