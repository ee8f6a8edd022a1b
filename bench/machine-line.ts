/** One line that describes the machine. Figures mean little without it. */
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { tryProgram } from '../test/sandbox/program.js'

export async function machineLine(): Promise<string> {
  const containerd = await tryProgram(['containerd', '--version'])
  const version = containerd.stdout.split(' ')[2] ?? 'unknown'
  const all = cpus()
  return [
    `${all.length} × ${all[0]?.model.trim() ?? 'unknown processor'}`,
    `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    `Linux ${release()}`,
    distribution(),
    `Node.js ${process.versions.node}`,
    `containerd ${version}`,
  ].join(', ')
}

function distribution(): string {
  const text = readFileSync('/etc/os-release', 'utf8')
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? 'unknown distribution'
}
