import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { BIG_FILE } from '../filesystem/sample-members.js'
import { skipReasonOfNative } from './sample-tree-mount.js'

const run = promisify(execFile)
const SCRIPT = fileURLToPath(new URL('./ordinary-user-process.js', import.meta.url))
const NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups']

/**
 * udev gives /dev/fuse the mode 0666. There may be no udev here, so a node with that mode is
 * mounted over /dev/fuse, in a mount namespace of the test's own.
 */
const WITH_OPEN_DEVICE =
  'set -e; d=$(mktemp -d); mknod -m 666 "$d/fuse" c 10 229; mount --bind "$d/fuse" /dev/fuse; ' +
  'rm -r "$d"; exec setpriv "$@"'

async function skipReason(): Promise<string | undefined> {
  const missing = await skipReasonOfNative()
  if (missing !== undefined) return missing
  try {
    await run('setpriv', [...NOBODY, 'test', '-r', SCRIPT])
    await run('setpriv', [...NOBODY, 'test', '-x', process.execPath])
    return undefined
  } catch {
    return `an ordinary user cannot read ${SCRIPT} or run ${process.execPath}`
  }
}

describe('mountTree for an ordinary user', () => {
  before(async function () {
    const reason = await skipReason()
    if (reason === undefined) return
    console.log(`      skipped: ${reason}`)
    this.skip()
  })

  it('mounts through fusermount, reads everything, and unmounts', async () => {
    const command = ['sh', '-c', WITH_OPEN_DEVICE, 'sh', ...NOBODY, process.execPath, SCRIPT]
    const { stdout } = await run('unshare', ['-m', ...command], { timeout: 30_000, cwd: '/' })
    const said = JSON.parse(stdout) as Record<'uid' | 'mounts' | 'stdout' | 'log', unknown>
    assert.equal(said.uid, 65_534)
    assert.match(String(said.mounts), /fuse\.thin ro,nosuid,nodev,.*user_id=65534/)
    const sha = createHash('sha256').update(BIG_FILE).digest('hex')
    const refusal = 'sh: 1: cannot create new: Read-only file system'
    assert.equal(said.stdout, `big\nprivate\nsecret\n${sha}  -\n${refusal}\n`)
    assert.deepEqual(said.log, [])
  })
})
