/**
 * Tests what a user sees when the store is gone, incomplete or wrong: an error for the affected
 * file, and a log line that names the fault and the place. Wrong bytes are never shown. When the
 * store is right again, the same read succeeds.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Index, ROOT_INO } from '../../index-format/index.js'
import type { Machine } from '../sandbox/machine.js'
import { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'
import { logged } from './daemon-log.js'
import { type ImagePair, publish } from './thin-images.js'

/** Short limits, so that faults end soon. By default a store has a minute. */
const IMPATIENT = [
  '[fetch]',
  'attempts = 2',
  'answer_timeout = "1s"',
  'stall_timeout = "1s"',
  'deadline = "3s"',
]
/**
 * Allows for the deadline above, the retries after a frame that does not verify, and a slow
 * machine.
 */
const LONGEST_FAILURE_MS = 30_000

/** A file that neither a pull nor a start reads. */
const FILE = 'usr/lib/python3.11/turtle.py'

/** Undoes a fault. Its result is awaited. */
type Mend = () => unknown

interface PackFault {
  /** Breaks the pack's file or the way to it. Returns the function that undoes this. */
  readonly inflict: (path: string, sandbox: Sandbox) => Mend | Promise<Mend>
  /** The log must have a line that matches, in addition to the pack's digest. */
  readonly says: RegExp
}

const PACK_FAULTS: Record<string, PackFault> = {
  'a missing pack': {
    inflict: (path) => {
      renameSync(path, `${path}.away`)
      return () => {
        renameSync(`${path}.away`, path)
      }
    },
    says: /not (there|found)|no such blob|404/i,
  },
  'a pack with flipped bits': {
    inflict: flipBits,
    says: /verif|digest|frame/i,
  },
  'a pack that ends early': {
    inflict: (path) => {
      const good = readFileSync(path)
      truncateSync(path, 100)
      return () => {
        writeFileSync(path, good)
      }
    },
    says: /bytes|range|truncated|416|ended/i,
  },
  'a registry that does not answer': {
    inflict: (_path, sandbox) => {
      sandbox.registry.kill('SIGSTOP')
      return () => {
        sandbox.registry.kill('SIGCONT')
      }
    },
    says: /not there after|timeout|timed out|no answer/i,
  },
  'a registry that breaks off every connection': {
    inflict: async (_path, sandbox) => {
      await sandbox.proxy.refuse(true)
      return () => sandbox.proxy.refuse(false)
    },
    says: /socket|closed|reset|refused/i,
  },
}

/**
 * Flips one bit in every 512 bytes, so that every frame is wrong. Returns the function that
 * restores the file.
 */
function flipBits(path: string): () => void {
  const good = readFileSync(path)
  const bad = Buffer.from(good)
  for (let at = 7; at < bad.length; at += 512) bad.writeUInt8(bad.readUInt8(at) ^ 0x10, at)
  writeFileSync(path, bad)
  return () => {
    writeFileSync(path, good)
  }
}

describe('a store at fault', function () {
  this.timeout(300_000)
  let sandbox: Sandbox
  let pair: ImagePair
  let expected: string

  before(async () => {
    sandbox = await Sandbox.start()
    pair = await publish(sandbox, 'python')
    expected = digest(Buffer.from((await thinctl(['cat', pair.thin, `/${FILE}`])).stdout))
  })

  after(async () => {
    await sandbox.close()
  })

  /**
   * Starts a machine that has pulled the image and read no file of it, and mounts the image's tree.
   */
  async function coldMachine(): Promise<{ machine: Machine; root: string }> {
    const machine = await sandbox.startMachine({ daemonConfig: IMPATIENT })
    await machine.containerd.pull(pair.thin, 'thin')
    const root = join(machine.directory, 'root')
    await machine.containerd.mountImage(pair.thin, root, 'thin')
    return { machine, root }
  }

  for (const [name, fault] of Object.entries(PACK_FAULTS)) {
    it(`${name} costs the file concerned an EIO, is logged, and is over when the store is right again`, async () => {
      const { machine, root } = await coldMachine()
      // A file that was read before the fault must be readable during the fault.
      const os = await readFile(join(root, 'etc/os-release'))
      const pack = packOf(machine, FILE)
      const mend = await fault.inflict(sandbox.registry.blobPath(pack), sandbox)
      try {
        const startedAtMs = performance.now()
        await assert.rejects(readFile(join(root, FILE)), { code: 'EIO' })
        assert.ok(performance.now() - startedAtMs < LONGEST_FAILURE_MS)
        assert.deepEqual(await readFile(join(root, 'etc/os-release')), os)
        // The log line passes through two processes, so the reader's error may come first.
        await logged(machine, pack)
        assert.match(machine.daemon.log(), fault.says)
      } finally {
        await mend()
      }
      // A failure is remembered for a second.
      await delay(1_500)
      assert.equal(digest(await readFile(join(root, FILE))), expected)
      await machine.containerd.unmountImage(root, 'thin')
      await sandbox.closeMachine(machine)
    })
  }

  it('is said by thinctl check, which names pack and frame', async () => {
    const { machine, root } = await coldMachine()
    const pack = packOf(machine, FILE)
    const mend = flipBits(sandbox.registry.blobPath(pack))
    try {
      await assert.rejects(thinctl(['check', pair.thin]), (error: Error) => {
        assert.ok(error.message.includes(pack), error.message)
        assert.match(error.message, /frame/)
        return true
      })
    } finally {
      mend()
    }
    await thinctl(['check', pair.thin])
    await machine.containerd.unmountImage(root, 'thin')
    await sandbox.closeMachine(machine)
  })

  it('leaves the pull undone when the recipe has a flipped bit, and the next pull succeeds', async () => {
    const machine = await sandbox.startMachine()
    const layer = await recipeLayerOf(pair.thin)
    const path = sandbox.registry.blobPath(layer)
    const good = readFileSync(path)
    const bad = Buffer.from(good)
    const at = good.length >> 1
    bad.writeUInt8(bad.readUInt8(at) ^ 1, at)
    writeFileSync(path, bad)
    try {
      await assert.rejects(machine.containerd.pull(pair.thin, 'thin'), /digest|checksum|failed/)
      await assert.rejects(thinctl(['inspect', pair.thin]), new RegExp(layer))
    } finally {
      writeFileSync(path, good)
    }
    await machine.containerd.pull(pair.thin, 'thin')
    await sandbox.closeMachine(machine)
  })
})

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Digest of the pack with a file's first byte, from the index that the machine has pulled. */
function packOf(machine: Machine, path: string): string {
  const indexes = join(machine.directory, 'thin/root/trees/indexes/sha256')
  const [name = ''] = readdirSync(indexes)
  const index = Index.open(join(indexes, name))
  try {
    let ino: number | undefined = ROOT_INO
    for (const part of path.split('/')) ino = ino && index.lookup(ino, Buffer.from(part))
    const [extent] = ino === undefined ? [] : index.extents(ino)
    assert.ok(extent, `${path} has no content`)
    return index.packTable(extent.pack).digest
  } finally {
    index.close()
  }
}

/** The digest of a thin image's only layer. */
async function recipeLayerOf(reference: string): Promise<string> {
  const [host = '', name = ''] = reference.split(/\/(.*)/)
  const [repository, tag] = name.split(':')
  const answer = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
  })
  const digests = (await answer.text()).match(/sha256:[0-9a-f]{64}/g)
  const layer = digests?.[1]
  assert.ok(layer, 'the manifest names configuration and layer')
  return layer
}
