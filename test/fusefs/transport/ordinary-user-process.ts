/**
 * A process that runs as an ordinary user: mounts a sample tree through fuse-native, looks at it
 * and prints what it saw.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { BIG_FILE } from '../filesystem/sample-members.js'
import { SampleTreeMount } from './sample-tree-mount.js'

const run = promisify(execFile)
const members = [
  { path: '', mode: 0o040755 },
  { path: 'private', mode: 0o100600, content: [Buffer.from('secret')] },
  { path: 'big', mode: 0o100644, content: [BIG_FILE] },
]

const mount = await SampleTreeMount.create(members, 'native')
try {
  const script = 'ls; cat private; echo; sha256sum < big; echo no 2>&1 > new || true'
  const { stdout } = await run('sh', ['-c', script], { cwd: mount.mountpoint })
  const said = {
    uid: process.getuid?.(),
    mounts: mount.procMounts(),
    stdout,
    log: mount.log.errors,
  }
  process.stdout.write(JSON.stringify(said))
} finally {
  await mount.close()
}
