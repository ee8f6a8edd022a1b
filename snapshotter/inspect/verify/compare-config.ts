/**
 * Compares what an image says about itself beside its files: configuration and annotations. Only
 * what must change with the layers may differ: `rootfs`, and which entries of `history` made a layer.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Digest } from '../../../index-format/index.js'
import type { JsonObject } from '../../images/registry/index.js'
import type { Difference, DifferenceKind } from './difference.js'

/** Characters of a value that are shown. */
const MAX_SHOWN = 200
const NO_PATH = new Uint8Array(0)

type Json = Readonly<Record<string, unknown>>

/** Every difference between two configurations; `diffId` is that of the thin layer. */
export function* compareConfigs(
  expected: JsonObject,
  actual: JsonObject,
  diffId: Digest | undefined,
): Generator<Difference> {
  const names = new Set([...Object.keys(expected.raw), ...Object.keys(actual.raw)])
  for (const name of [...names].sort()) {
    const [a, b] = [expected.raw[name], actual.raw[name]]
    if (name === 'rootfs' || name === 'history') continue
    // "config" is where environment, entry point, labels and the like are.
    if (name === 'config' && isJson(a) && isJson(b)) yield* compareFields('config.', a, b)
    else if (!isDeepStrictEqual(a, b)) yield different('config', name, a, b)
  }
  yield* compareHistories(expected.raw['history'], actual.raw['history'])
  const rootfs = { type: 'layers', diff_ids: [diffId] }
  if (diffId !== undefined && !isDeepStrictEqual(actual.raw['rootfs'], rootfs)) {
    yield different('config', 'rootfs', rootfs, actual.raw['rootfs'])
  }
}

/** Every annotation that is not the same in both. */
export function* compareAnnotations(
  where: string,
  expected: Json | undefined,
  actual: Json | undefined,
): Generator<Difference> {
  for (const name of new Set([...Object.keys(expected ?? {}), ...Object.keys(actual ?? {})])) {
    const [a, b] = [expected?.[name], actual?.[name]]
    if (a !== b) yield different('annotation', `${where} ${name}`, a, b)
  }
}

function* compareFields(prefix: string, expected: Json, actual: Json): Generator<Difference> {
  const names = new Set([...Object.keys(expected), ...Object.keys(actual)])
  for (const name of [...names].sort()) {
    const [a, b] = [expected[name], actual[name]]
    if (!isDeepStrictEqual(a, b)) yield different('config', prefix + name, a, b)
  }
}

/** The original's entries come first, none of them with a layer; one entry follows, which has it. */
function* compareHistories(expected: unknown, actual: unknown): Generator<Difference> {
  const before: unknown[] = Array.isArray(expected) ? expected : []
  const after: unknown[] = Array.isArray(actual) ? actual : []
  if (after.length !== before.length + 1) {
    const counts = [`${before.length + 1} entries`, `${after.length} entries`]
    yield different('config', 'history', counts[0], counts[1])
    return
  }
  for (const [number, entry] of before.entries()) {
    const wanted = isJson(entry) ? { ...entry, empty_layer: true } : entry
    if (isDeepStrictEqual(after[number], wanted)) continue
    yield different('config', `history[${number}]`, wanted, after[number])
  }
  const own = after.at(-1)
  if (isJson(own) && own['empty_layer'] === true) {
    yield different('config', `history[${before.length}].empty_layer`, false, true)
  }
}

function different(kind: DifferenceKind, name: string, a: unknown, b: unknown): Difference {
  return { kind, path: NO_PATH, name, expected: shown(a), actual: shown(b) }
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  // JSON leaves no control characters but DEL and C1, which a terminal may obey.
  const text = JSON.stringify(value).replace(/[\u007f-\u009f]/g, '?')
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
