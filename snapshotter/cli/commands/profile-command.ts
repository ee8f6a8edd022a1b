/** `thinctl profile`: shows, merges, shares, lists and forgets profiles. */
import { stat, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import {
  bytesFromProfile,
  type Index,
  mergedProfile,
  type Profile,
  profileFromBytes,
} from '../../../index-format/index.js'
import { askDaemon } from '../../node/admin/admin-client.js'
import { DEFAULT_CONFIG_PATH, loadConfig } from '../../config/index.js'
import { SnapshotterError } from '../../errors.js'
import { ThinProfiles } from '../../inspect/thin-profiles.js'
import type { CommandContext } from '../command-context.js'
import { readProfile } from '../profile-file.js'
import { type ShownProfile, shownProfile, textOfProfile } from '../profile-text.js'
import { writeOut } from '../standard-output.js'
import { type AccessOptions, addAccessOptions, withAccess } from '../tree-options.js'
import { collected } from '../option-values.js'

interface ImageOptions extends AccessOptions {
  readonly platform?: string
}

interface ShowOptions extends ImageOptions {
  readonly image?: string
  readonly ranges?: true
  readonly json?: true
}

interface PushOptions extends ImageOptions {
  readonly profile: readonly string[]
  readonly config?: string
  readonly replace: boolean
  readonly json?: true
}

/** The place where a profile of an image was found. */
type Origin = 'image' | 'guess' | 'shared'

const PLATFORM = 'which of the image; default: that of this machine'
const CONFIG = `configuration of the daemon (default ${DEFAULT_CONFIG_PATH})`

export function addProfileCommand(program: Command, context: CommandContext): void {
  const profile = program.command('profile').description('what a start reads, as it was recorded')
  const show = profile
    .command('show')
    .description('files, sizes and ranges of profiles, in the order of first access')
    .argument('<what>', 'a profile, or a thin image: those it was published with and those shared')
    .option('--image <image>', 'for a profile, a thin image of the same tree: paths, not inodes')
    .option('--platform <os/arch>', PLATFORM)
    .option('--ranges', 'every range of every file')
    .option('--json', 'everything, for scripts')
  addAccessOptions(show).action((what: string, options: ShowOptions) =>
    showProfiles(what, options, context),
  )
  const merge = profile
    .command('merge')
    .description('one profile of several starts of the same image, the first in its order')
    .argument('<output>', 'the file to write')
    .argument('<what...>', 'profiles, and thin images for all that are known of them')
    .option('--platform <os/arch>', PLATFORM)
  addAccessOptions(merge).action((output: string, whats: string[], options: ImageOptions) =>
    mergeProfiles(output, whats, options, context),
  )
  const push = profile
    .command('push')
    .description('share profiles through the registry; the image stays as it is')
    .argument('<image>', 'a thin image')
    .option('--profile <file>', 'default: what the daemon learned (again for more)', collected, [])
    .option('--replace', 'forget what was shared before', false)
    .option('-c, --config <file>', CONFIG)
    .option('--platform <os/arch>', PLATFORM)
    .option('--json', 'print the result as JSON')
  addAccessOptions(push).action((image: string, options: PushOptions) =>
    pushProfiles(image, options, context),
  )
  const pull = profile
    .command('pull')
    .description('fetch what was shared, merged into one profile')
    .argument('<image>', 'a thin image')
    .argument('<output>', 'the file to write')
    .option('--platform <os/arch>', PLATFORM)
  addAccessOptions(pull).action((image: string, output: string, options: ImageOptions) =>
    pullProfiles(image, output, options, context),
  )
  addLearnedCommands(profile, context)
}

function addLearnedCommands(profile: Command, context: CommandContext): void {
  profile
    .command('list')
    .description('what the daemon learned, the last used first')
    .option('-c, --config <file>', CONFIG)
    .option('--json', 'print the list as JSON')
    .action(async (options: { config?: string; json?: true }) => {
      const { adminAddress } = await loadConfig(options.config)
      const text = await askDaemon(adminAddress, 'GET', '/v1/profiles', context.signal)
      await writeOut([options.json === true ? `${text}\n` : listed(text)], context.signal)
    })
  profile
    .command('forget')
    .description('have the daemon learn a start anew, when the image is pulled again')
    .argument('<index>', 'digest of the index, as "profile list" shows it')
    .option('-c, --config <file>', CONFIG)
    .action(async (index: string, options: { config?: string }) => {
      const { adminAddress } = await loadConfig(options.config)
      const path = `/v1/profile/forget?index=${encodeURIComponent(index)}`
      await askDaemon(adminAddress, 'POST', path, context.signal)
    })
}

async function showProfiles(
  what: string,
  options: ShowOptions,
  context: CommandContext,
): Promise<void> {
  const asText = (shown: ShownProfile): string => textOfProfile(shown, options.ranges === true)
  if (await isFile(what)) {
    const profile = await readProfile(what)
    const { image } = options
    const shown =
      image === undefined
        ? shownProfile(profile, undefined)
        : await withImage(image, options, context, ({ index }) =>
            Promise.resolve(shownProfile(profile, index)),
          )
    const json = (): string => `${JSON.stringify(shown, null, 2)}\n`
    await writeOut([options.json === true ? json() : asText(shown)], context.signal)
    return
  }
  const found = await withImage(what, options, context, async ({ profiles, index }) =>
    (await known(profiles, context)).map(({ origin, profile }) => {
      return { origin, ...shownProfile(profile, index) }
    }),
  )
  const json = (): string => `${JSON.stringify({ profiles: found }, null, 2)}\n`
  const text = (): string =>
    found.map((one) => `found in  ${ORIGINS[one.origin]}\n${asText(one)}`).join('\n')
  await writeOut([options.json === true ? json() : text() || 'no profiles\n'], context.signal)
}

const ORIGINS = {
  image: 'the image',
  guess: 'the image, guessed',
  shared: 'its registry',
} as const

async function mergeProfiles(
  output: string,
  whats: readonly string[],
  options: ImageOptions,
  context: CommandContext,
): Promise<void> {
  const all: Profile[] = []
  for (const what of whats) {
    if (await isFile(what)) all.push(await readProfile(what))
    else {
      const found = await withImage(what, options, context, ({ profiles }) =>
        known(profiles, context),
      )
      all.push(...found.map(({ profile }) => profile))
    }
  }
  await writeMerged(output, all, whats.join(', '))
}

async function pushProfiles(
  image: string,
  options: PushOptions,
  context: CommandContext,
): Promise<void> {
  const given = await Promise.all(options.profile.map(readProfile))
  const pushed = await withImage(image, options, context, async ({ profiles }) => {
    const chosen = given.length > 0 ? given : [await learned(profiles, options, context)]
    return profiles.push(chosen, options, context.signal)
  })
  const { digest, repositories, starts } = pushed
  const text = `${digest}: ${starts.length} profiles in ${repositories.join(' and ')}\n`
  process.stdout.write(options.json === true ? `${JSON.stringify(pushed, null, 2)}\n` : text)
}

/**
 * The daemon's learned profile, merged with the image's guess. The guessed pages were in the page
 * cache when the start was learned, so the learned profile lacks them.
 */
async function learned(
  profiles: ThinProfiles,
  options: PushOptions,
  context: CommandContext,
): Promise<Profile> {
  const { adminAddress } = await loadConfig(options.config)
  const path = `/v1/profile?index=${profiles.merged.digest}`
  const text = await askDaemon(adminAddress, 'GET', path, context.signal)
  const own = profileFromBytes(Buffer.from(text))
  const guess = profiles.guess()
  return guess === undefined ? own : mergedProfile(guess, own)
}

async function pullProfiles(
  image: string,
  output: string,
  options: ImageOptions,
  context: CommandContext,
): Promise<void> {
  const shared = await withImage(image, options, context, ({ profiles }) =>
    profiles.shared(context.signal),
  )
  await writeMerged(output, shared, image)
}

async function writeMerged(
  output: string,
  profiles: readonly Profile[],
  what: string,
): Promise<void> {
  const [first, ...others] = profiles
  if (first === undefined) throw new SnapshotterError('not-found', `${what}: no profile is known`)
  await writeFile(output, bytesFromProfile(mergedProfile(first, ...others)))
}

async function known(
  profiles: ThinProfiles,
  { signal }: CommandContext,
): Promise<{ origin: Origin; profile: Profile }[]> {
  const published = profiles.published()
  const guess = profiles.guess()
  const shared = await profiles.shared(signal)
  return [
    ...published.map((profile) => ({ origin: 'image' as const, profile })),
    ...(guess === undefined ? [] : [{ origin: 'guess' as const, profile: guess }]),
    ...shared.map((profile) => ({ origin: 'shared' as const, profile })),
  ]
}

function withImage<Result>(
  image: string,
  options: ImageOptions,
  context: CommandContext,
  use: (opened: { profiles: ThinProfiles; index: Index }) => Promise<Result>,
): Promise<Result> {
  return withAccess(options, context, async (access) => {
    const { platform } = options
    const profiles = await ThinProfiles.open({ image, platform }, { access }, context.signal)
    try {
      return await use({ profiles, index: await profiles.index(context.signal) })
    } finally {
      profiles.close()
    }
  })
}

/** The daemon's answer as text, one line per profile. It needs no checks, because it is our own. */
function listed(text: string): string {
  const list = JSON.parse(text) as { index: string; sizeBytes: number; path: string }[]
  return list.map(({ index, path }) => `${index}  ${path}\n`).join('')
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() === true
}
