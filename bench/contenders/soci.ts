/**
 * soci-snapshotter with unmodified layers and an index. Written from the documentation and the
 * configuration of its main branch of August 2026 (docs/cli-usage.md, docs/getting-started.md,
 * config/config.toml) and from nerdctl's command reference. It has not yet been run on the machine
 * of this project's figures.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender } from './contender.js'
import { missingPrograms } from './foreign/missing-programs.js'
import { plainHttpRegistry, startForeignMachine } from './foreign/foreign-machine.js'
import { runProgram } from '../../test/sandbox/program.js'

const CONVERSION_TIMEOUT_MS = 1_800_000

export const SOCI: Contender = {
  name: 'soci',
  unavailable: () =>
    Promise.resolve(missingPrograms(['soci', 'soci-snapshotter-grpc', 'nerdctl', 'skopeo'])),
  publish: async (sandbox, workload, ordinary) => {
    // A version 2 index is part of the image, so that every client finds it.
    const reference = sandbox.reference(`${workload.name}:1-soci`)
    const directory = mkdtempSync(join(sandbox.directory, 'soci-publish-'))
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    const options = { timeoutMs: CONVERSION_TIMEOUT_MS }
    const copy = ['skopeo', 'copy', '--insecure-policy', '--quiet']
    try {
      const from = ['--src-tls-verify=false', `docker://${ordinary}`, `oci:${source}`]
      await runProgram([...copy, ...from], options)
      const convert = ['convert', '--standalone', '--format', 'oci-dir', source, target]
      await runProgram(['soci', ...convert], options)
      const to = ['--all', '--dest-tls-verify=false', `oci:${target}`, `docker://${reference}`]
      await runProgram([...copy, ...to], options)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
    return { reference }
  },
  startMachine: (sandbox) => {
    const host = `127.0.0.1:${sandbox.proxy.port}`
    return startForeignMachine(sandbox, {
      name: 'soci',
      files: () => ({ 'config.toml': plainHttpRegistry(host) }),
      command: ({ directory, root, socket }) => [
        'soci-snapshotter-grpc',
        ...['--config', join(directory, 'config.toml'), '--address', socket, '--root', root],
      ],
      puller: (address) => ['nerdctl', '--address', address, '--snapshotter', 'soci'],
      pullArguments: (reference) => ['--insecure-registry', 'pull', '--quiet', reference],
    })
  },
}
