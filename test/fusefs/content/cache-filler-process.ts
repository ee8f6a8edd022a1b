/**
 * A process for tests: fills a cache with the first sample pack, prints `filled`, and waits to be
 * killed. Usage: `cache-filler-process.js <cacheDir> <origin of the store>`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ContentStore, createContentStats, sourceFromUrl } from '../../../fusefs/index.js'
import { samplePacks } from './sample-packs.js'
import { createTestLog } from './test-log.js'

const [cacheDir, url] = process.argv.slice(2)
const [pack] = samplePacks()
if (cacheDir === undefined || url === undefined || pack === undefined) throw new Error('bad usage')
const log = createTestLog()
const source = sourceFromUrl({ url }, { log, stats: createContentStats() })
const store = await ContentStore.open({ cacheDir, saveIntervalMs: 20 }, { log })
const frames = { first: 0, count: pack.table.frames.length }
await store.prefetch({ pack: pack.table, frames, source }, new AbortController().signal)
await sleep(200)
process.stdout.write('filled\n')
await sleep(60_000)
