/**
 * An image with metadata that tools often lose: capabilities, setuid and sticky bits, hard links,
 * devices, fifos, names that are not UTF-8, holes, binary attributes, nanoseconds.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../program.js'
import { DEBIAN_IMAGES, debianImage } from './debian-image.js'
import type { ImageCache } from './image-cache.js'

/** Change this whenever the image changes: it is part of the image's key in the cache. */
const REVISION = 'attributes 3'

/** Returns `layout:tag` of the image. Its lowest layer is the Debian base. Needs root. */
export async function attributesImage(cache: ImageCache): Promise<string> {
  const base = await debianImage(cache, DEBIAN_IMAGES.tools)
  return cache.image({
    name: 'attributes',
    ingredients: [REVISION, base],
    build: async (work) => {
      await work.from(base)
      const layer = join(work.directory, 'layer')
      mkdirSync(join(layer, 'a'), { recursive: true })
      await fill(join(layer, 'a'))
      await work.addDirectory(layer)
    },
  })
}

async function fill(root: string): Promise<void> {
  const at = (name: string): string => join(root, name)
  writeFileSync(at('plain'), 'plain\n')
  writeFileSync(at('empty'), '')
  await programs(at)
  links(root)
  await specialFiles(at)
  namesInBytes(root)
  sparseFile(at('sparse'))
  await attributes(at)
  for (const [name, sec] of [
    ['before-1970', -86_400.25],
    ['after-2038', 4_102_444_800.75],
  ] as const) {
    writeFileSync(at(name), name)
    utimesSync(at(name), sec, sec)
  }
  await runProgram(['touch', '-d', '2001-02-03 04:05:06.123456789 UTC', at('plain'), root])
}

async function programs(at: (name: string) => string): Promise<void> {
  copyFileSync('/bin/cat', at('setuid-cat'))
  chownSync(at('setuid-cat'), 0, 0)
  chmodSync(at('setuid-cat'), 0o4755)
  writeFileSync(at('root-only'), 'read by a setuid program\n')
  chmodSync(at('root-only'), 0o600)
  copyFileSync('/bin/cat', at('capable-cat'))
  await runProgram(['setcap', 'cap_dac_override,cap_net_raw+ep', at('capable-cat')])
  mkdirSync(at('sticky'))
  chownSync(at('sticky'), 1000, 2000)
  chmodSync(at('sticky'), 0o3777)
  writeFileSync(at('owned'), 'by a large id\n')
  chownSync(at('owned'), 4_000_000, 3_999_999)
  chmodSync(at('owned'), 0o640)
}

function links(root: string): void {
  const at = (name: string): string => join(root, name)
  mkdirSync(at('links/deep/er'), { recursive: true })
  writeFileSync(at('links/one'), 'one inode, four names\n')
  linkSync(at('links/one'), at('links/two'))
  linkSync(at('links/one'), at('links/deep/three'))
  linkSync(at('links/one'), at('before-its-target'))
  symlinkSync('../links/one', at('links/symbolic'))
  symlinkSync('/nowhere/at/all', at('links/dangling'))
  symlinkSync('x'.repeat(1000), at('links/long'))
  // Two names of one symbolic link.
  linkSync(at('links/symbolic'), at('links/symbolic-too'))
}

async function specialFiles(at: (name: string) => string): Promise<void> {
  await runProgram(['mknod', at('null'), 'c', '1', '3'])
  await runProgram(['mknod', at('high-device'), 'c', '511', '70000'])
  await runProgram(['mknod', at('block'), 'b', '7', '200'])
  await runProgram(['mkfifo', '-m', '622', at('fifo')])
}

function namesInBytes(root: string): void {
  const bytes = (...parts: (string | number)[]): Buffer =>
    Buffer.concat([
      Buffer.from(`${root}/`),
      ...parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))),
    ])
  writeFileSync(bytes('latin1-', 0xe4, 0xff), 'a name that is not UTF-8\n')
  mkdirSync(bytes('dir-', 0xfe))
  writeFileSync(bytes('dir-', 0xfe, '/', 0x80, 0x81), 'nor is its directory\n')
  symlinkSync(Buffer.of(0xc3, 0x28), bytes('link-to-bytes'))
  writeFileSync(bytes('new\nline\ttab\\back'), 'control characters\n')
  writeFileSync(bytes('ünïcödé'), 'UTF-8\n')
  writeFileSync(bytes('n'.repeat(255)), 'as long as a name can be\n')
  mkdirSync(bytes(`${'p'.repeat(200)}/${'q'.repeat(200)}`), { recursive: true })
  writeFileSync(bytes(`${'p'.repeat(200)}/${'q'.repeat(200)}/file`), 'a long path\n')
}

/** Data, a hole of 3 MiB, data, a hole to the end at 8 MiB. */
function sparseFile(path: string): void {
  const file = openSync(path, 'w')
  writeSync(file, Buffer.alloc(5000, 'a'), 0, 5000, 0)
  writeSync(file, Buffer.alloc(5000, 'b'), 0, 5000, 3 << 20)
  ftruncateSync(file, 8 << 20)
  closeSync(file)
}

async function attributes(at: (name: string) => string): Promise<void> {
  writeFileSync(at('attributes'), 'attributes\n')
  await runProgram(['setfattr', '-n', 'user.text', '-v', 'value', at('attributes')])
  await runProgram(['setfattr', '-n', 'user.binary', '-v', '0x00ff0a3d00', at('attributes')])
  await runProgram(['setfattr', '-n', 'user.empty', at('attributes')])
  await runProgram(['setfattr', '-n', 'trusted.thing', '-v', '0x0102', at('attributes')])
  await runProgram(['setfattr', '-n', 'user.on-directory', '-v', 'yes', at('sticky')])
  const large = `0x${'5a'.repeat(2000)}`
  await runProgram(['setfattr', '-n', 'user.large', '-v', large, at('attributes')])
}
