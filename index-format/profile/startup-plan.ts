/**
 * The startup plan: where the frames of the startup packs are, and which bytes of which files they
 * hold. With it a node fetches the content of a start before it has the index. The plan is in the
 * thin layer, as one zstd frame of JSON.
 */
import { decompressedFrame, tooLarge } from '../compression/bounded-frame.js'
import { bytesFromDigest, type Digest, digestFromBytes } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import {
  MAX_FILE_BYTES,
  MAX_FRAME_BYTES,
  MAX_FRAME_RAW_BYTES,
  MAX_FRAMES_PER_PACK,
  MAX_INO,
  MAX_MEMBER_PATH_BYTES,
  MAX_PACK_RAW_BYTES,
  MAX_PROFILE_RANGES,
  MAX_STARTS,
  MAX_STARTUP_PACKS,
  MAX_STARTUP_PLAN_BYTES,
} from '../limits.js'
import { FrameEncoder } from '../pack/frame-codec.js'
import type { Frame, PackTable } from '../pack/pack-table.js'
import { JsonCursor } from '../recipe/json-cursor.js'
import { AccessOrder } from './access-order.js'
import {
  directoriesFromJson,
  jsonFromDirectories,
  MAX_COMMAND_BYTES,
  MAX_COMMANDS,
  type Profile,
} from './profile.js'

/** A run of a file's bytes. Its place in the startup packs is the end of the run before it. */
export interface StartupRun {
  readonly ino: number
  readonly offset: number
  readonly length: number
  /** Bit i is set if start i of the plan reads the run. May be absent if there is one start. */
  readonly starts?: number
}

/** One of the starts that a plan is for. */
export interface PlannedStart {
  /** The commands that were run, as a person would type them. Informative. */
  readonly commands: readonly string[]
}

export interface StartupPlan {
  /** In the order in which they have to be fetched. */
  readonly packs: readonly PackTable[]
  /** The content of the packs, in order. The lengths add up to the packs' raw sizes. */
  readonly runs: readonly StartupRun[]
  /** One path for each file of `runs`, by inode number: raw bytes, without leading slash. */
  readonly paths: ReadonlyMap<number, Uint8Array>
  /** The directories that the profiles of the plan name. No node needs them. Default: none. */
  readonly directories?: readonly number[]
  /** The profiles that the plan was made of. No node needs them. Default: one without commands. */
  readonly starts?: readonly PlannedStart[]
}

const LEVEL = 19
const LIMIT = { maxBytes: MAX_STARTUP_PLAN_BYTES, what: 'startup plan' }

/**
 * The plan as one zstd frame of JSON. The same plan gives the same bytes. Throws `limit-exceeded`
 * for more than MAX_STARTUP_PLAN_BYTES of JSON.
 */
export function bytesFromStartupPlan(plan: StartupPlan): Uint8Array {
  const json = {
    version: 1,
    packs: plan.packs.map(({ digest, sizeBytes, frames }) => ({
      digest,
      sizeBytes,
      frames: frames.map((frame) => [
        frame.rawSizeBytes,
        frame.sizeBytes,
        Buffer.from(bytesFromDigest(frame.digest)).toString('base64'),
      ]),
    })),
    files: [...plan.paths].map(([ino, path]) => [ino, textFromPath(path)]),
    runs: plan.runs.map(({ ino, offset, length }) => [ino, offset, length]),
    ...(plan.starts !== undefined && {
      starts: plan.starts.map(({ commands }) => commands),
      ...(plan.starts.length > 1 && { readBy: plan.runs.map(({ starts = 0 }) => starts) }),
    }),
    ...jsonFromDirectories(plan),
  }
  const bytes = Buffer.from(JSON.stringify(json))
  if (bytes.length > MAX_STARTUP_PLAN_BYTES) throw tooLarge(bytes.length, LIMIT)
  return new FrameEncoder().encode(bytes, LEVEL)
}

/**
 * Parses a startup plan. Throws `invalid-compression`, `invalid-startup-plan` naming the JSON path,
 * `unsupported-version`, or `limit-exceeded` for more than MAX_STARTUP_PLAN_BYTES of JSON.
 */
export function startupPlanFromBytes(compressed: Uint8Array): StartupPlan {
  const json = new JsonCursor(
    jsonFromBytes(decompressedFrame(compressed, LIMIT)),
    '$',
    'startup-plan',
  )
  const version = json.member('version').integer(0, Number.MAX_SAFE_INTEGER)
  if (version !== 1) {
    const message = `startup plan: $.version is ${version}, this build reads 1`
    throw new IndexFormatError('unsupported-version', message)
  }
  const packs = json.member('packs').elements(0, MAX_STARTUP_PACKS).map(packFromJson)
  const { starts, readBy } = startsFromJson(json)
  const runs = json
    .member('runs')
    .elements(0, MAX_PROFILE_RANGES)
    .map((run, at) => runFromJson(run, readBy?.[at]))
  const files = json.member('files').elements(0, MAX_PROFILE_RANGES).map(fileFromJson)
  const runBytes = runs.reduce((sum, run) => sum + run.length, 0)
  const rawBytes = packs.reduce((sum, pack) => sum + pack.rawSizeBytes, 0)
  if (runBytes !== rawBytes) {
    throw json.member('runs').refused(`runs of ${rawBytes} bytes, as the packs hold`)
  }
  return {
    ...{ packs, runs, paths: new Map(files) },
    ...(starts !== undefined && { starts }),
    ...directoriesFromJson(json),
  }
}

/**
 * The profiles that a plan was made of, with `index` as their index. The pages of each are in the
 * order of the plan. Each has all directories of the plan.
 */
export function profilesOfPlan(plan: StartupPlan, index: Digest): Profile[] {
  const { directories } = plan
  const starts: readonly PlannedStart[] = plan.starts ?? [{ commands: [] }]
  return starts.map(({ commands }, at) => {
    const order = new AccessOrder()
    for (const { ino, offset, length, starts: readBy = 1 << at } of plan.runs) {
      if ((readBy & (1 << at)) !== 0) order.add(ino, offset, length)
    }
    return { index, commands, ranges: order.ranges(), ...(directories && { directories }) }
  })
}

function packFromJson(json: JsonCursor): PackTable {
  const frames: Frame[] = []
  let offset = 0
  let rawOffset = 0
  for (const cursor of json.member('frames').elements(1, MAX_FRAMES_PER_PACK)) {
    const [raw, size, digest] = cursor.elements(3, 3)
    const rawSizeBytes = raw?.integer(1, MAX_FRAME_RAW_BYTES) ?? 0
    const sizeBytes = size?.integer(1, MAX_FRAME_BYTES) ?? 0
    const frameDigest = digestFromJson(digest)
    frames.push({ rawOffset, rawSizeBytes, offset, sizeBytes, digest: frameDigest })
    offset += sizeBytes
    rawOffset += rawSizeBytes
  }
  const sizeBytes = json.member('sizeBytes').integer(offset, Number.MAX_SAFE_INTEGER)
  if (rawOffset > MAX_PACK_RAW_BYTES) throw json.refused(`at most ${MAX_PACK_RAW_BYTES} raw bytes`)
  return { digest: json.member('digest').digest(), sizeBytes, rawSizeBytes: rawOffset, frames }
}

function digestFromJson(json: JsonCursor | undefined): Digest {
  const bytes = Buffer.from(json?.text(44) ?? '', 'base64')
  if (bytes.length === 32) return digestFromBytes(bytes)
  throw new IndexFormatError('invalid-startup-plan', `startup plan: ${json?.path ?? ''}: no digest`)
}

/** Both are absent in plans of earlier writers. `readBy` is also absent if there is one start. */
function startsFromJson(json: JsonCursor): {
  starts: PlannedStart[] | undefined
  readBy: number[] | undefined
} {
  const starts = json.member('starts')
  const readBy = json.member('readBy')
  return {
    starts: starts.present
      ? starts.elements(1, MAX_STARTS).map((commands) => ({
          commands: commands
            .elements(0, MAX_COMMANDS)
            .map((command) => command.text(MAX_COMMAND_BYTES)),
        }))
      : undefined,
    readBy: readBy.present
      ? readBy.elements(0, MAX_PROFILE_RANGES).map((one) => one.integer(0, 2 ** MAX_STARTS - 1))
      : undefined,
  }
}

function runFromJson(json: JsonCursor, starts: number | undefined): StartupRun {
  const [ino, offset, length] = json.elements(3, 3)
  return {
    ino: ino?.integer(1, MAX_INO) ?? 0,
    offset: offset?.integer(0, MAX_FILE_BYTES) ?? 0,
    length: length?.integer(1, MAX_PACK_RAW_BYTES) ?? 0,
    ...(starts !== undefined && { starts }),
  }
}

function fileFromJson(json: JsonCursor): [number, Uint8Array] {
  const [ino, path] = json.elements(2, 2)
  const bytes = pathFromText(path?.text(3 * MAX_MEMBER_PATH_BYTES) ?? '')
  // The path is looked up below a directory of ours. It must not lead out of that directory.
  const names = bytes.toString('latin1').split('/')
  if (names.some((name) => name === '' || name === '.' || name === '..' || name.includes('\0'))) {
    throw json.refused('a path below the root, without "." and ".."')
  }
  return [ino?.integer(1, MAX_INO) ?? 0, bytes]
}

/** The path as text. "%" and bytes that are not printable ASCII become %xx, in lower-case hex. */
function textFromPath(path: Uint8Array): string {
  const latin1 = Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1')
  return latin1.replace(/[^\x20-\x24\x26-\x7e]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}

function pathFromText(text: string): Buffer {
  const latin1 = text.replace(/%([0-9a-f]{2})/g, (_, hex: string) => {
    return String.fromCharCode(Number.parseInt(hex, 16))
  })
  return Buffer.from(latin1, 'latin1')
}

function jsonFromBytes(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    const message = 'startup plan: $ is not JSON in UTF-8'
    throw new IndexFormatError('invalid-startup-plan', message, { cause })
  }
}
