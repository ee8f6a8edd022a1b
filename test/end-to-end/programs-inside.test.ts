/**
 * Tests that programs that look closely at a filesystem see the same in a container of the thin
 * image as in one of the original. Every command runs in both containers, and their outputs are
 * compared.
 */
import assert from 'node:assert/strict'
import type { Machine } from '../sandbox/machine.js'
import type { ProgramResult } from '../sandbox/program.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { type ImagePair, publish } from './thin-images.js'

interface Case {
  readonly title: string
  readonly command: readonly string[]
  readonly flags?: readonly string[]
  /** The original's output must match. Without this, two failures would compare as equal. */
  readonly expected: RegExp
}

const AS_USER = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups']

const CASES: readonly Case[] = [
  {
    title: 'find',
    command: [
      'find',
      ...['/', '-xdev', '-not', '-path', '/etc/resolv.conf', '-not', '-path', '/dev/*'],
      ...['-type', 'f', '-printf', '%p %m %U:%G %s %T@ %n\\n'],
    ],
    expected: /\/usr\/bin\/dpkg 755 0:0 /,
  },
  {
    title: 'tar',
    // Without directories, because those that no layer names have the time of unpacking. Without
    // atime and ctime, which each filesystem sets by itself. Without extended attributes, because
    // listxattr(2) returns them in no defined order (equality.test.ts compares them).
    command: [
      'sh',
      '-c',
      'find /a /usr /var ! -type d -print0 | sort -z | tar -cf - --null -T - ' +
        '--format=pax --pax-option=delete=atime,delete=ctime | sha256sum',
    ],
    expected: /^[0-9a-f]{64} {2}-\n$/,
  },
  {
    title: 'dpkg --verify',
    command: ['sh', '-c', 'dpkg --verify; echo $?; dpkg --list | wc -l'],
    expected: /^0\n\d+\n$/,
  },
  {
    title: 'ldd',
    // Without the load addresses, which are random.
    command: ['sh', '-c', 'ldd /usr/bin/apt-get | sed "s/ (0x.*//"'],
    expected: /libapt-pkg\.so.* => \/lib/,
  },
  {
    title: 'a setuid program, as an ordinary user',
    command: [...AS_USER, '/a/setuid-cat', '/a/root-only'],
    flags: ['--allow-new-privs'],
    expected: /^read by a setuid program\n$/,
  },
  {
    title: 'a program with a file capability, as an ordinary user',
    command: [...AS_USER, '/a/capable-cat', '/a/root-only'],
    flags: ['--allow-new-privs'],
    expected: /^read by a setuid program\n$/,
  },
  {
    title: 'getcap',
    command: ['/sbin/getcap', '-r', '/a'],
    expected: /cap_dac_override,cap_net_raw=ep/,
  },
  {
    title: 'cp -a and diff of what is not UTF-8',
    command: [
      'sh',
      '-c',
      'cp -a /a /copy && diff -r --no-dereference -x fifo -x null -x block -x high-device /a /copy && ls -b /copy',
    ],
    expected: /latin1-\\344\\377/,
  },
]

describe('programs in a container of a thin image', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let machine: Machine
  let pair: ImagePair

  before(async () => {
    sandbox = await Sandbox.start()
    machine = await sandbox.startMachine()
    pair = await publish(sandbox, 'attributes')
    await machine.containerd.pull(pair.ordinary, 'overlayfs')
    await machine.containerd.pull(pair.thin, 'thin')
  })

  after(async () => {
    await sandbox.close()
  })

  for (const { title, command, flags = [], expected } of CASES) {
    it(`see the same: ${title}`, async () => {
      const run = (reference: string, snapshotter: string): Promise<ProgramResult> =>
        machine.containerd.run(reference, command, { snapshotter, flags, encoding: 'latin1' })
      const ordinary = await run(pair.ordinary, 'overlayfs')
      assert.match(ordinary.stdout, expected)
      const thin = await run(pair.thin, 'thin')
      assert.deepEqual(differingLines(ordinary.stdout, thin.stdout), [])
    })
  }
})

function differingLines(left: string, right: string): string[] {
  const leftLines = new Set(left.split('\n'))
  const rightLines = new Set(right.split('\n'))
  return [
    ...[...leftLines].filter((line) => !rightLines.has(line)).map((line) => `- ${line}`),
    ...[...rightLines].filter((line) => !leftLines.has(line)).map((line) => `+ ${line}`),
  ].slice(0, 20)
}
