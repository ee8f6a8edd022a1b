/**
 * nydus-snapshotter with one RAFS v6 filesystem for each image, served by nydusd over FUSE. Written
 * from the README and the example configuration of nydus-snapshotter's main branch of July 2026
 * (misc/snapshotter/config.toml and nydusd-config.fusedev.json; tests/helpers/kind.sh for nydusify)
 * and from nerdctl's command reference. It has not yet been run on the machine of this project's
 * figures. `disable_snapshot_annotations = false` is needed for CRI only: the README pulls with
 * nerdctl, which itself passes containerd the labels that the snapshotter needs.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender } from './contender.js'
import { type ForeignFolder, startForeignMachine } from './foreign/foreign-machine.js'
import { missingPrograms } from './foreign/missing-programs.js'
import { runProgram } from '../../test/sandbox/program.js'

const CONVERSION_TIMEOUT_MS = 1_800_000

const PROGRAMS = ['nydusify', 'nydus-image', 'nydusd', 'containerd-nydus-grpc', 'nerdctl']

export const NYDUS: Contender = {
  name: 'nydus',
  unavailable: () => Promise.resolve(missingPrograms(PROGRAMS)),
  publish: async (sandbox, workload, ordinary) => {
    const reference = sandbox.reference(`${workload.name}:1-nydus`)
    const work = mkdtempSync(join(sandbox.directory, 'nydusify-'))
    const flags = ['--fs-version', '6', '--source-insecure', '--target-insecure']
    const images = ['--source', ordinary, '--target', reference, '--work-dir', work]
    try {
      await runProgram(['nydusify', 'convert', ...flags, ...images], {
        timeoutMs: CONVERSION_TIMEOUT_MS,
      })
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
    return { reference }
  },
  startMachine: (sandbox) =>
    startForeignMachine(sandbox, {
      name: 'nydus',
      files: (folder) => ({
        'config.toml': snapshotterConfig(folder),
        'nydusd.json': JSON.stringify(NYDUSD_CONFIG),
      }),
      command: ({ directory }) => [
        'containerd-nydus-grpc',
        ...['--config', join(directory, 'config.toml')],
      ],
      puller: (address) => ['nerdctl', '--address', address, '--snapshotter', 'nydus'],
      pullArguments: (reference) => ['--insecure-registry', 'pull', '--quiet', reference],
    }),
}

/**
 * The values of the example configuration, except for the scheme of our registry. Prefetching of
 * data that no program has read is off.
 */
const NYDUSD_CONFIG = {
  device: {
    backend: {
      type: 'registry',
      config: { scheme: 'http', skip_verify: true, timeout: 5, connect_timeout: 5, retry_limit: 2 },
    },
    cache: { type: 'blobcache' },
  },
  mode: 'direct',
  digest_validate: false,
  iostats_files: false,
  enable_xattr: true,
  amplify_io: 1_048_576,
  fs_prefetch: { enable: true, threads_count: 8, merging_size: 1_048_576, prefetch_all: false },
}

function snapshotterConfig({ directory, root, socket }: ForeignFolder): string {
  return [
    'version = 1',
    `root = ${JSON.stringify(root)}`,
    `address = ${JSON.stringify(socket)}`,
    'daemon_mode = "dedicated"',
    'cleanup_on_close = true',
    '[system]',
    `address = ${JSON.stringify(join(directory, 'system.sock'))}`,
    '[daemon]',
    `nydusd_config = ${JSON.stringify(join(directory, 'nydusd.json'))}`,
    'nydusd_path = "nydusd"',
    'nydusimage_path = "nydus-image"',
    'fs_driver = "fusedev"',
    'recover_policy = "none"',
    '[cgroup]',
    'enable = false',
    '[log]',
    'log_to_stdout = true',
    '[metrics]',
    'address = ""',
    '',
  ].join('\n')
}
