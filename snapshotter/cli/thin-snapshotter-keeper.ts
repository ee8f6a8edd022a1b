#!/usr/bin/env node
/** The keeper's process; see keeper/keeper.ts. Started by thin-snapshotterd, never by hand. */
import { Keeper } from '../node/keeper/keeper.js'

const [socketPath] = process.argv.slice(2)
if (socketPath === undefined) {
  process.stderr.write('usage: thin-snapshotter-keeper SOCKET\n')
  process.exitCode = 2
} else {
  process.title = 'thin-snapshotter-keeper'
  // The keeper ends by a shutdown request only: a stray signal would take every mount with it.
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
  await Keeper.listen({ socketPath }, () => {
    process.exit(0)
  })
}
