/** `thinctl status`: shows the trees, the cache and the fetches of a running daemon. */
import type { Command } from 'commander'
import { askDaemon } from '../../node/admin/admin-client.js'
import { DEFAULT_CONFIG_PATH, loadConfig } from '../../config/index.js'
import type { CommandContext } from '../command-context.js'
import { mebibytes } from '../byte-count.js'
import {
  type BackgroundStatus,
  type DaemonStatus,
  daemonStatusFromJson,
  type TreeStatus,
} from '../../node/admin/daemon-status.js'

export function addStatusCommand(program: Command, { signal }: CommandContext): void {
  program
    .command('status')
    .description('trees that are served, the cache, and what was fetched')
    .option('-c, --config <file>', `configuration of the daemon (default ${DEFAULT_CONFIG_PATH})`)
    .option('--json', 'everything, for scripts')
    .action(async (options: { config?: string; json?: true }) => {
      const config = await loadConfig(options.config)
      const answer = await askDaemon(config.adminAddress, 'GET', '/v1/status', signal)
      if (options.json === true) process.stdout.write(answer + '\n')
      else process.stdout.write(statusText(daemonStatusFromJson(answer)))
    })
}

function statusText(status: DaemonStatus): string {
  const { snapshots, cache, content, fuse } = status
  const rows: [string, string][] = [
    ['daemon', `version ${status.version}, pid ${status.pid}, up ${status.uptimeSec} s`],
    ['memory', mebibytes(status.memoryBytes)],
    ['address', status.address],
    [
      'snapshots',
      snapshots.problem ??
        `${snapshots.committed} committed (${snapshots.thin} thin), ${snapshots.active} active, ${snapshots.view} views`,
    ],
    [
      'cache',
      `${mebibytes(cache.usageBytes)} of ${mebibytes(cache.maxBytes)} in ${cache.packs} packs, ${cache.directory}`,
    ],
    [
      'fetched',
      `${mebibytes(content.bytesFetched)} in ${content.httpRequests} HTTP requests; ` +
        `${content.fetchFailures} failed, ${content.verifyFailures} frames did not verify`,
    ],
    [
      'reads',
      `${mebibytes(fuse.plain.bytesRead + fuse.xattr.bytesRead)}, ${fuse.plain.misses + fuse.xattr.misses} had to wait`,
    ],
    ['background', backgroundText(status.background)],
    ['trees', String(status.trees.length)],
  ]
  const lines = rows.map(([name, value]) => `${name.padEnd(10)} ${value}`)
  return [...lines, ...status.trees.map(treeText)].join('\n') + '\n'
}

function treeText(tree: TreeStatus): string {
  const share = tree.packBytes === 0 ? 100 : (100 * tree.cachedBytes) / tree.packBytes
  const content = `${tree.files} files, ${mebibytes(tree.sizeBytes)}, ${share.toFixed(1)} % cached`
  const index = tree.isIndexPartial ? ', a part of its index' : ''
  return `  ${tree.path}  ${tree.error ?? content}${index}, ${tree.snapshots} snapshots`
}

function backgroundText(background: BackgroundStatus): string {
  const { state, completeTrees, treesWithoutRoom, failedTrees } = background
  if (state === 'off') return 'images are not completed (background.complete)'
  const problems = `${treesWithoutRoom} without room, ${failedTrees} failed`
  return `${state}; ${completeTrees} trees complete, ${problems}`
}
