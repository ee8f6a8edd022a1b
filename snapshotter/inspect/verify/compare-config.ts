/**
 * Compares the configurations and annotations of two images. They may differ only where the layers
 * require it: in `rootfs`, and in which entries of `history` have a layer.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Digest } from '../../../index-format/index.js'
import type { JsonObject } from '../../images/registry/index.js'
import type { Difference, DifferenceKind } from './difference.js'

/** Characters of a value that a report shows. */
const MAX_SHOWN = 200
const NO_PATH = new Uint8Array(0)

type Json = Readonly<Record<string, unknown>>

/**
 * Yields every difference between two configurations. `diffId` is the diff ID of the thin layer;
 * undefined: `rootfs` is not compared.
 */
export function* compareConfigs(
  expected: JsonObject,
  actual: JsonObject,
  diffId: Digest | undefined,
): Generator<Difference> {
  const names = new Set([...Object.keys(expected.raw), ...Object.keys(actual.raw)])
  for (const name of [...names].sort()) {
    const [a, b] = [expected.raw[name], actual.raw[name]]
    if (name === 'rootfs' || name === 'history') continue
    // "config" holds environment, entry point, labels and the like.
    if (name === 'config' && isJson(a) && isJson(b)) yield* compareFields('config.', a, b)
    else if (!isDeepStrictEqual(a, b)) yield different('config', name, a, b)
  }
  yield* compareHistories(expected.raw['history'], actual.raw['history'])
  const rootfs = { type: 'layers', diff_ids: [diffId] }
  if (diffId !== undefined && !isDeepStrictEqual(actual.raw['rootfs'], rootfs)) {
    yield different('config', 'rootfs', rootfs, actual.raw['rootfs'])
  }
}

/** Yields every annotation that differs. */
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

/**
 * Compares the histories. The thin image must have the original's entries, each without a layer,
 * and after them one entry with a layer.
 */
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
  // JSON escapes all control characters but DEL and C1, and a terminal may obey these.
  const text = JSON.stringify(value).replace(/[\u007f-\u009f]/g, '?')
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
