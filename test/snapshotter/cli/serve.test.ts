import assert from 'node:assert/strict'
import { runThinctl } from './run-thinctl.js'

describe('thinctl serve', () => {
  it('shows the default address in its help as it is to be written', async () => {
    const { status, out } = await runThinctl('serve', '--help')
    assert.equal(status, 0)
    assert.match(
      out.toString().replace(/\s+/g, ' '),
      /--listen <host:port> .*\(default: 127\.0\.0\.1:5050\)/,
    )
  })
})
