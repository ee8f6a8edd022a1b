/** Tests that the daemon's metrics and status count what has happened. */
import assert from 'node:assert/strict'
import { freePort } from '../sandbox/free-port.js'
import type { Machine } from '../sandbox/machine.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'
import { publish } from './thin-images.js'

/**
 * Counts the daemon's trees, snapshots and cached bytes. Before its first use they must be 0: the
 * daemon's rehearsal leaves nothing behind.
 */
async function leftByRehearsal(
  machine: Machine,
): Promise<{ trees: number; snapshots: number; cached: number }> {
  const { stdout } = await thinctl(['status', '--json', '--config', machine.daemon.config])
  const status = JSON.parse(stdout) as {
    trees: readonly unknown[]
    snapshots: { active: number; committed: number }
    cache: { usageBytes: number }
  }
  const { trees, snapshots, cache } = status
  const left = snapshots.active + snapshots.committed
  return { trees: trees.length, snapshots: left, cached: cache.usageBytes }
}

describe('a daemon that has run a container', function () {
  this.timeout(300_000)

  it('says so on its metrics address and in its status', async () => {
    const sandbox = await Sandbox.start()
    try {
      const { thin } = await publish(sandbox, 'python')
      const port = await freePort()
      const machine = await sandbox.startMachine({
        daemonConfig: ['[metrics]', `address = "127.0.0.1:${port}"`],
      })
      assert.deepEqual(await leftByRehearsal(machine), { trees: 0, snapshots: 0, cached: 0 })
      assert.doesNotMatch(machine.daemon.log(), /rehearsal/)
      await machine.containerd.pull(thin, 'thin')
      await machine.containerd.run(thin, ['python3', '-c', 'pass'], { snapshotter: 'thin' })
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      const value = (line: RegExp): number => Number(line.exec(metrics)?.[1] ?? Number.NaN)
      const commit = 'method="Commit",code="OK"'
      assert.equal(value(new RegExp(`call_duration_seconds_count{${commit}} (.*)`)), 1)
      assert.ok(value(new RegExp(`call_duration_seconds_sum{${commit}} (.*)`)) > 0)
      assert.ok(value(/^thin_fuse_requests_total{class="plain",operation="READ"} (.*)/m) > 10)
      assert.ok(value(/^thin_content_fetched_bytes_total (.*)/m) > 100_000)
      assert.equal(value(/^thin_content_verify_failures_total (.*)/m), 0)
      assert.ok(value(/^thin_cache_usage_bytes (.*)/m) > 100_000)
      assert.equal(value(/^thin_trees (.*)/m), 1)
      assert.ok(value(/^thin_process_resident_memory_bytes (.*)/m) > 10_000_000)

      const { stdout } = await thinctl(['status', '--config', machine.daemon.config])
      assert.match(stdout, /1 committed \(1 thin\)/)
      assert.match(stdout, /root\/plain\/\w+ {2}\d+ files, /)
    } finally {
      await sandbox.close()
    }
  })
})
