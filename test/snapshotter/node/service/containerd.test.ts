/**
 * A real containerd with our service as proxy plugin, and with its own overlayfs snapshotter. The
 * same images must show the same files through both.
 */
import assert from 'node:assert/strict'
import { lstat, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Containerd, type RunningContainer } from '../../../sandbox/containerd.js'
import { attributesImage } from '../../../sandbox/images/attributes-image.js'
import { ImageBuild, ImageCache } from '../../../sandbox/images/image-cache.js'
import { whiteoutsImage } from '../../../sandbox/images/whiteouts-image.js'
import { runProgram } from '../../../sandbox/program.js'
import { compareTrees } from '../../../sandbox/tree-comparison.js'
import { unmountBelow } from '../../../sandbox/mounts.js'
import { RunningService } from './running-service.js'

describe('containerd with the snapshots service', function () {
  this.timeout(600_000)
  let directory: string
  let cache: ImageCache
  let service: RunningService
  let containerd: Containerd

  before(async () => {
    cache = await ImageCache.open()
    directory = await mkdtemp(join(tmpdir(), 'ctrd-'))
    service = await RunningService.start({ allow: [directory] })
    containerd = await Containerd.start({
      directory: join(directory, 'containerd'),
      snapshotters: { thin: service.address },
    })
  })

  after(async () => {
    await containerd.close()
    await service.destroy()
    await unmountBelow(directory)
    await rm(directory, { recursive: true, force: true })
  })

  /**
   * Imports an image from an OCI layout (`dir:tag`) and unpacks it. Returns the image's reference.
   */
  async function importImage(layout: string, name: string, snapshotter: string): Promise<string> {
    const archive = join(directory, `${name}.tar`)
    const copy = ['skopeo', 'copy', '--insecure-policy', '--quiet']
    await runProgram([...copy, `oci:${layout}`, `oci-archive:${archive}:1`])
    const flags = ['--base-name', `localhost/${name}`, '--snapshotter', snapshotter]
    await containerd.ctr(['images', 'import', ...flags, archive])
    await rm(archive)
    return `localhost/${name}:1`
  }

  /** Mounts the image through both snapshotters and calls `work` with the two mountpoints. */
  async function withBoth(
    [ours, theirs]: readonly [string, string],
    work: (thin: string, overlayfs: string) => Promise<void>,
  ): Promise<void> {
    const [thin, overlayfs] = [join(directory, 'mnt-thin'), join(directory, 'mnt-overlayfs')]
    await containerd.mountImage(ours, thin, 'thin')
    await containerd.mountImage(theirs, overlayfs, 'overlayfs')
    await work(thin, overlayfs)
    await containerd.unmountImage(thin, 'thin')
    await containerd.unmountImage(overlayfs, 'overlayfs')
  }

  async function shell(reference: string, snapshotter: string, script: string): Promise<string> {
    const command = ['/bin/sh', '-c', script]
    return (await containerd.run(reference, command, { snapshotter })).stdout
  }

  for (const [name, build] of [
    ['attributes', attributesImage],
    ['whiteouts', whiteoutsImage],
  ] as const) {
    it(`unpacks the ${name} image as containerd does`, async () => {
      const layout = await build(cache)
      const reference = await importImage(layout, name, 'thin')
      await importImage(layout, name, 'overlayfs')
      await withBoth([reference, reference], async (thin, overlayfs) => {
        const { differences, comparedEntries } = await compareTrees(thin, overlayfs)
        assert.ok(comparedEntries > 3000, `only ${comparedEntries} entries`)
        for (const { path, attribute } of differences) {
          // If a layer writes into a directory without an entry for it, the directory gets the time
          // of unpacking.
          assert.equal(attribute, 'mtimeNs', `${path}: ${attribute}`)
          assert.ok((await lstat(join(thin, path))).isDirectory(), path)
        }
      })
    })
  }

  it('runs containers that write, and tells what they take', async () => {
    const reference = 'localhost/attributes:1'
    const script = 'echo written > /new && rm /a/plain && cat /new && ls /a/plain 2>&1; id -u'
    const expected = await shell(reference, 'overlayfs', script)
    assert.match(expected, /^written\n.*No such file or directory\n0\n$/)
    assert.equal(await shell(reference, 'thin', script), expected)
    const asNobody = 'setpriv --reuid=65534 --regid=65534 --clear-groups'
    const programs = '/a/capable-cat /a/root-only && /a/setuid-cat /a/root-only'
    const { stdout } = await containerd.run(
      reference,
      ['/bin/sh', '-c', `${asNobody} /bin/sh -c '${programs}'`],
      { snapshotter: 'thin', flags: ['--allow-new-privs', '--privileged'] },
    )
    assert.equal(stdout, 'read by a setuid program\n'.repeat(2))
  })

  it('answers what ctr asks about snapshots', async () => {
    const ctr = async (...args: string[]): Promise<string> =>
      (await containerd.ctr(['snapshots', '--snapshotter', 'thin', ...args])).stdout
    const usage = async (snapshotter: string): Promise<string[]> => {
      const { stdout } = await containerd.ctr(['snapshots', '--snapshotter', snapshotter, 'usage'])
      return stdout.split('\n').slice(1).sort()
    }
    assert.deepEqual(await usage('thin'), await usage('overlayfs'))
    const committed = async (snapshotter: string): Promise<string[]> => {
      const { stdout } = await containerd.ctr(['snapshots', '--snapshotter', snapshotter, 'ls'])
      return [...stdout.matchAll(/^(sha256:\S+) .*Committed/gm)].map(([, name = '']) => name).sort()
    }
    const keys = await committed('thin')
    assert.ok(keys.length > 4)
    assert.deepEqual(keys, await committed('overlayfs'))
    const [key = ''] = keys
    const info = JSON.parse(await ctr('info', key)) as { Kind: string; Labels: object }
    assert.equal(info.Kind, 'Committed')
    await ctr('label', key, 'mark=set')
    assert.match(await ctr('info', key), /"mark": "set"/)
    await ctr('view', 'looked-at', key)
    assert.match(await ctr('mounts', '/target', 'looked-at'), /mount -t (bind|overlay) /)
    await ctr('rm', 'looked-at')
    await assert.rejects(containerd.ctr(['snapshots', '--snapshotter', 'thin', 'info', 'none']), {
      message: /not found/,
    })
  })

  it('serves a thin image whose layers are directories of the host', async () => {
    const layers = await unpackedLayers()
    const layout = await thinImage(layers)
    const reference = await importImage(layout, 'thin', 'thin')
    await withBoth([reference, 'localhost/whiteouts:1'], async (thin, overlayfs) => {
      const { differences, comparedEntries } = await compareTrees(thin, overlayfs)
      assert.deepEqual(differences, [])
      assert.ok(comparedEntries > 3000, `only ${comparedEntries} entries`)
    })
    const script = 'cat /w/gone-and-back; ls /w/opaque; echo x > /w/new; cat /w/new'
    assert.equal(
      await shell(reference, 'thin', script),
      await shell('localhost/whiteouts:1', 'overlayfs', script),
    )
  })

  it('stops and starts under a running container', async () => {
    const command = ['/bin/sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done']
    const options = { snapshotter: 'thin' }
    const running: RunningContainer[] = []
    for (const image of ['localhost/attributes:1', 'localhost/thin:1']) {
      running.push(await containerd.start(image, command, options))
    }
    await service.stop()
    service = await RunningService.start({
      directory: service.directory,
      allow: [directory],
    })
    for (const container of running) {
      const { stdout } = await containerd.exec(container, ['/bin/sh', '-c', 'echo alive'])
      assert.equal(stdout, 'alive\n')
    }
    assert.equal(
      await shell('localhost/thin:1', 'thin', 'cat /w/opaque/kept'),
      'w/opaque/kept of layer 1\n',
    )
    for (const container of running) assert.equal(await containerd.remove(container), true)
  })

  it('loses every snapshot and directory when the images go', async () => {
    for (const name of ['attributes', 'whiteouts', 'thin']) {
      await containerd.ctr(['images', 'rm', '--sync', `localhost/${name}:1`])
    }
    const snapshots = join(service.root, 'snapshots')
    // containerd collects garbage at a time of its own choice.
    for (let i = 0; i < 300 && (await readdir(snapshots)).length > 0; i++) await sleep(100)
    assert.deepEqual(await service.client.listAll(), [])
    assert.deepEqual(await readdir(snapshots), [])
    assert.deepEqual(await readdir(join(service.root, 'host')), [])
  })

  /**
   * Directories of the layers of the whiteouts image in containerd's overlayfs snapshotter, bottom
   * first.
   */
  async function unpackedLayers(): Promise<string[]> {
    const target = join(directory, 'mnt-lowers')
    await containerd.mountImage('localhost/whiteouts:1', target, 'overlayfs')
    const { stdout } = await runProgram(['findmnt', '--noheadings', '--output', 'OPTIONS', target])
    await containerd.unmountImage(target, 'overlayfs')
    const lowerdir = /lowerdir=([^,]+)/.exec(stdout)?.[1] ?? ''
    const layers = lowerdir.trim().split(':').reverse()
    assert.equal(layers.length, 5)
    return layers
  }

  /** Makes an image of one layer that has only the recipe. */
  async function thinImage(layers: readonly string[]): Promise<string> {
    const recipe = {
      version: '1.0',
      origin: 'whiteouts:1@http://localhost/v2',
      layers: layers.map((path) => ({ digest: '0'.repeat(64), url: `file://${path}` })),
    }
    const layout = join(directory, 'layout')
    await runProgram(['umoci', 'init', '--layout', layout])
    const image = new ImageBuild(directory, `${layout}:1`)
    await image.fromScratch()
    const layer = join(directory, 'thin-layer')
    await mkdir(layer)
    await writeFile(join(layer, 'thin.json'), JSON.stringify(recipe))
    await image.addDirectory(layer)
    await image.configure(['/bin/sh'])
    return image.image
  }
})
