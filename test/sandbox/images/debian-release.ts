/** Base images of Debian releases: essential packages and apt, from this machine's apt sources. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram, tryProgram } from '../program.js'
import { BUILD_EPOCH_SEC, type ImageRecipe } from './image-cache.js'

/** Change this whenever base images are built differently: it is part of their key in the cache. */
const REVISION = 'debian 2'

/** Recipe of the base image of a release. Default: this machine's release. */
export async function releaseRecipe(release: string = ownRelease()): Promise<ImageRecipe> {
  const sources = await aptSources(release)
  return {
    name: release === ownRelease() ? 'debian' : `debian-${release}`,
    ingredients: [REVISION, ...sources],
    build: async (work) => {
      const archive = join(work.directory, 'base.tar')
      await runProgram(['mmdebstrap', '--variant=apt', '--format=tar', release, archive, '-'], {
        input: `${sources.join('\n')}\n`,
        env: { SOURCE_DATE_EPOCH: String(BUILD_EPOCH_SEC) },
        timeoutMs: 600_000,
      })
      await work.fromScratch()
      await work.addArchive(archive)
      await work.configure(['/bin/sh'])
    },
  }
}

/** Returns one-line apt sources of `release`, from the servers that this machine's apt uses. */
export async function aptSources(release: string = ownRelease()): Promise<string[]> {
  const own = ownRelease()
  const format = 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)'
  const command = ['apt-get', 'indextargets', '--format', format, 'Identifier: Packages']
  const { stdout } = await tryProgram(command)
  const suite = new RegExp(`^(deb \\S+ )${own}((?:-updates|-security)? main)$`)
  const lines = stdout.split('\n').filter((line) => suite.test(line))
  if (lines.length === 0) {
    throw new Error(`build a Debian image: this machine has no apt sources for ${own}`)
  }
  return [...new Set(lines.map((line) => line.replace(suite, `$1${release}$2`)))].sort()
}

/** VERSION_CODENAME of os-release(5). */
function ownRelease(): string {
  const file = '/etc/os-release'
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const name = /^VERSION_CODENAME=(\w+)$/m.exec(text)?.[1]
  if (name === undefined) throw new Error(`${file} does not name a Debian release`)
  return name
}
