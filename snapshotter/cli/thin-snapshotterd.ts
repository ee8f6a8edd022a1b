#!/usr/bin/env node
/**
 * The snapshotter's program. A person or systemd starts it as the supervisor, which asks the keeper
 * to start the same program again, with `--fuse`, as the daemon.
 */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { type Config, DEFAULT_CONFIG_PATH, loadConfig } from '../config/index.js'
import { mountpointsUnder, TREE_CLASSES } from '../node/mountpoints.js'
import { openRootDirectory, tightenedText } from '../node/root-directory.js'
import { Supervisor } from '../node/keeper/supervisor.js'
import { VERSION } from '../version.js'
import { ServiceManager } from './service-manager.js'
import { EXIT_BAD_INPUT } from './exit-status.js'
import { lowerPriority } from './standby-priority.js'

interface Options {
  readonly config?: string
  readonly trace?: true
  readonly fuse?: string[]
  readonly standby?: true
}

const keeperPath = fileURLToPath(new URL('./thin-snapshotter-keeper.js', import.meta.url))

const program = new Command('thin-snapshotterd')
  .description(
    'Serves thin and ordinary images to containerd as a snapshotter. On SIGTERM the daemon ends and\n' +
      'its mounts stay, so that containers go on; "thinctl shutdown" takes the mounts away, too.',
  )
  .version(VERSION)
  .option('-c, --config <file>', `configuration (default ${DEFAULT_CONFIG_PATH}, if it exists)`)
  .option('--trace', 'log every FUSE request at level debug')
  .option('--fuse <class=fd=negotiated...>', 'run as the daemon; for the keeper only')
  .option('--standby', 'load, and run as the daemon when that is asked for; for the keeper only')
  .action(async (options: Options) => {
    try {
      if (options.standby === true) options = { ...options, fuse: await standBy() }
      const config = await loadConfig(options.config)
      if (options.fuse === undefined) await runFront(config, options)
      else await runBack(config, options.fuse, options.trace === true)
    } catch (error) {
      process.stderr.write(
        `thin-snapshotterd: ${error instanceof Error ? error.message : String(error)}\n`,
      )
      const { exitCodeFromError } = await import('./exit-code.js')
      process.exit(exitCodeFromError(error))
    }
  })

/**
 * Loads the daemon's code, which takes most of a start, and waits for the keeper. Resolves with the
 * `--fuse` arguments when this process has to take over.
 */
async function standBy(): Promise<string[]> {
  const restorePriority = lowerPriority()
  const { askedToServe } = await import('./run-daemon.js')
  const fuse = await askedToServe()
  restorePriority()
  return [...fuse]
}

/** Runs the daemon. Its code is imported here, so that the supervisor does not load it. */
async function runBack(config: Config, fuse: readonly string[], trace: boolean): Promise<void> {
  const { runDaemon } = await import('./run-daemon.js')
  await runDaemon({ config, fuse, trace })
}

/**
 * V8 flags of the daemon. A small young generation: objects of a call die soon, so V8's default of
 * 48 MiB would only take memory. A large interrupt budget: V8 then optimizes code later. With its
 * default of 132 KiB of bytecode, compiling took a third of the processors while containers waited,
 * and a start ends before optimized code pays off.
 */
const V8_FLAGS = ['--max-semi-space-size=2', '--interrupt-budget=600000']

async function runFront(config: Config, options: Options): Promise<void> {
  const mountpoints = mountpointsUnder(config.root)
  const mounts = TREE_CLASSES.map((name) => ({ name, mountpoint: mountpoints[name] }))
  const openMode = await openRootDirectory(config.root)
  if (openMode !== undefined) {
    process.stderr.write(`thin-snapshotterd: ${tightenedText(config.root, openMode)}\n`)
  }
  await mkdir(config.state, { recursive: true, mode: 0o711 })
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      stopping.abort()
    })
  }
  const warn = (message: string): void => {
    process.stderr.write(`thin-snapshotterd: ${message}\n`)
  }
  const serviceManager = ServiceManager.fromEnvironment(process.env, { warn })
  const self = [process.execPath, ...V8_FLAGS, ...process.execArgv, fileURLToPath(import.meta.url)]
  await Supervisor.run(
    {
      socketPath: join(config.state, 'keeper.sock'),
      keeperCommand: [process.execPath, '--max-semi-space-size=1', keeperPath],
      daemonCommand: [
        ...self,
        // The keeper and its children run in another directory.
        ...(options.config === undefined ? [] : ['--config', resolve(options.config)]),
        ...(options.trace === true ? ['--trace'] : []),
      ],
      mounts,
      refusalStatus: EXIT_BAD_INPUT,
      watchdogMs: config.watchdog.deadlineMs,
      standby: config.watchdog.standby,
    },
    {
      output: (stream, text) => process[stream].write(text),
      warn,
      onChange: (change) => {
        serviceManager.hear(change)
      },
    },
    stopping.signal,
  )
  process.exit(0)
}

await program.parseAsync()
