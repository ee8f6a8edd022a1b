import assert from 'node:assert/strict'
import type { LogConfig } from '../../../snapshotter/config/index.js'
import { createLog } from '../../../snapshotter/log/create-log.js'
import { textLine } from '../../../snapshotter/log/text-line.js'

describe('createLog', () => {
  let lines: string[]
  beforeEach(() => {
    lines = []
  })

  function logOf(format: LogConfig['format']): ReturnType<typeof createLog> {
    return createLog({ level: 'info', format }, { write: (line) => lines.push(line) })
  }

  it('writes JSON', () => {
    const log = logOf('json')
    log.debug('not of this level')
    log.warn({ store: 'https://x/' }, 'slow')
    assert.equal(lines.length, 1)
    const record = JSON.parse(lines[0] ?? '') as Record<string, unknown>
    assert.equal(record['msg'], 'slow')
    assert.equal(record['store'], 'https://x/')
    assert.match(String(record['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  it('writes lines for people, with the stack of an error', () => {
    const log = logOf('text')
    log.info({ store: 'https://x/', path: 'a b', count: 3, deep: { a: [1] } }, 'ready to serve')
    log.error({ err: new Error('no route', { cause: new Error('EHOSTUNREACH') }) }, 'fetch failed')
    assert.match(
      lines[0] ?? '',
      /^\d{4}-\S+Z INFO {2}ready to serve store=https:\/\/x\/ path="a b" count=3 deep=\{"a":\[1\]\}\n$/,
    )
    const [first, second, ...stack] = (lines[1] ?? '').split('\n')
    assert.match(first ?? '', / ERROR fetch failed$/)
    assert.match(second ?? '', /^ {4}Error: no route/)
    assert.ok(stack.some((line) => line.startsWith('    caused by: Error: EHOSTUNREACH')))
  })

  it('leaves alone what is not its own', () => {
    assert.equal(textLine('panic\n'), 'panic\n')
    assert.equal(textLine('5'), '5')
  })
})
