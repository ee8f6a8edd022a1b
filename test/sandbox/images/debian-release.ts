/** A Debian release as an image: what the machine's own apt sources serve of it, with apt and nothing more. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram, tryProgram } from '../program.js'
import { BUILD_EPOCH_SEC, type ImageRecipe } from './image-cache.js'

/** Change it whenever bases are built differently: it is part of what the cache knows them by. */
const REVISION = 'debian 2'

/** The base image of a release; default the machine's own. */
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

/** One-line apt sources of a release, from where the machine gets its own. */
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
