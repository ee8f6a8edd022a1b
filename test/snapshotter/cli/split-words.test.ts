import assert from 'node:assert/strict'
import { splitWords } from '../../../snapshotter/cli/split-words.js'

describe('splitWords', () => {
  it('splits as a shell does', () => {
    const cases: [string, string[]][] = [
      ['app', ['app']],
      ['  app  --x=1\ty ', ['app', '--x=1', 'y']],
      [`sh -c 'a "b" $c'`, ['sh', '-c', 'a "b" $c']],
      [`sh -c "a 'b' \\"c\\" \\n"`, ['sh', '-c', `a 'b' "c" \\n`]],
      [`a\\ b c"d e"'f'`, ['a b', 'cd ef']],
      [`x '' ""`, ['x', '', '']],
    ]
    for (const [text, words] of cases) assert.deepEqual(splitWords(text), words, text)
  })

  it('refuses what has no end, and what has no word', () => {
    for (const text of [`a 'b`, `a "b`, 'a \\', '', '  ']) {
      assert.throws(() => splitWords(text), /no end|no command/, text)
    }
  })
})
