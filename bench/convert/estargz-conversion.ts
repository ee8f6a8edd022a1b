/**
 * The same image to eStargz, by stargz-snapshotter's own converter. It works on containerd's content
 * store: what `thinctl convert` does in one program takes a fetch, a conversion and a push here, and
 * all three count. Starting containerd does not, and nothing is unpacked into a snapshotter.
 */
import type { Conversion } from './conversion.js'
import { missingPrograms } from '../contenders/foreign/missing-programs.js'
import { withPublisher } from '../contenders/foreign/publisher.js'
import { measureProgram } from '../measured-program.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'

/** What is counted, for the report. */
export const ESTARGZ_METHOD =
  'estargz: ctr content fetch, ctr-remote images convert --estargz --oci, ctr images push, all three ' +
  'counted, with a containerd that is running and empty; its peak memory is that of ctr-remote alone'

/** Why it cannot be measured here, if it cannot. */
export function estargzUnavailable(): string | undefined {
  return missingPrograms(['ctr-remote', 'ctr', 'containerd'])
}

/** Converts `source`, a reference into the sandbox's registry, to `target` in the same registry. */
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
