#!/usr/bin/env node
/** The program of the keeper; see keeper/keeper.ts. thin-snapshotterd starts it. */
import { Keeper } from '../node/keeper/keeper.js'

const [socketPath] = process.argv.slice(2)
if (socketPath === undefined) {
  process.stderr.write('usage: thin-snapshotter-keeper SOCKET\n')
  process.exitCode = 2
} else {
  process.title = 'thin-snapshotter-keeper'
  // Only a shutdown request ends the keeper. Every mount ends with it, so signals are ignored.
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
  await Keeper.listen({ socketPath }, () => {
    process.exit(0)
  })
}
