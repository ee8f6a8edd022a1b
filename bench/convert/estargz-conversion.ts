/**
 * Converts the same image to eStargz with stargz-snapshotter's own converter, which works on
 * containerd's content store. `thinctl convert` is one program; here it takes a fetch, a conversion
 * and a push, and all three are counted. Starting containerd is not counted, and nothing is
 * unpacked into a snapshotter.
 */
import type { Conversion } from './conversion.js'
import { missingPrograms } from '../contenders/foreign/missing-programs.js'
import { withPublisher } from '../contenders/foreign/publisher.js'
import { measureProgram } from '../measured-program.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'

/** Description of what is counted, for the report. */
export const ESTARGZ_METHOD =
  'estargz: ctr content fetch, ctr-remote images convert --estargz --oci, ctr images push, all three ' +
  'counted, with a containerd that is running and empty; its peak memory is that of ctr-remote alone'

/** Returns the reason why this cannot be measured here, or undefined if it can. */
export function estargzUnavailable(): string | undefined {
  return missingPrograms(['ctr-remote', 'ctr', 'containerd'])
}

/** Converts `source`, a reference in the sandbox's registry, to `target` in the same registry. */
export function convertToEstargz(
  sandbox: Sandbox,
  source: string,
  target: string,
): Promise<Conversion> {
  return withPublisher(sandbox, async ({ address }) => {
    const at = ['--address', address]
    const fetch = await measureProgram(['ctr', ...at, 'content', 'fetch', '--plain-http', source])
    const convert = await measureProgram([
      ...['ctr-remote', ...at, 'images', 'convert', '--estargz', '--oci'],
      ...[source, target],
    ])
    const push = await measureProgram(['ctr', ...at, 'images', 'push', '--plain-http', target])
    return {
      elapsedMs: fetch.elapsedMs + convert.elapsedMs + push.elapsedMs,
      peakRssBytes: convert.peakRssBytes,
      stepMs: { fetch: fetch.elapsedMs, convert: convert.elapsedMs, push: push.elapsedMs },
    }
  })
}
