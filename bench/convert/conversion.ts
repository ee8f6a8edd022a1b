/** One conversion of an image from a registry into the same registry, whoever does it. */
import { bytesBelow } from '../bytes-below.js'
import type { LayerSizes } from '../layer-sizes.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'

export interface Conversion {
  readonly elapsedMs: number
  /** Of the program that converts; the registry's is not in it, nor containerd's. */
  readonly peakRssBytes: number
  /** How long each step took, by its name; empty where there is only one. */
  readonly stepMs: Readonly<Record<string, number>>
}

export interface ConversionSample {
  readonly megabytesPerSec: number
  readonly peakRssBytes: number
  /** What the registry has more of afterwards ÷ the image's gzip layers. */
  readonly storedShare: number
  readonly stepMs: Readonly<Record<string, number>>
}

/** Measures `convert` by what the registry has before and after it. */
export async function sampleOf(
  sandbox: Sandbox,
  layers: LayerSizes,
  convert: () => Promise<Conversion>,
): Promise<ConversionSample> {
  const before = bytesBelow(sandbox.registry.storage)
  const { elapsedMs, peakRssBytes, stepMs } = await convert()
  const storedBytes = bytesBelow(sandbox.registry.storage) - before
  return {
    megabytesPerSec: layers.rawBytes / 1e3 / elapsedMs,
    peakRssBytes,
    storedShare: storedBytes / layers.gzipBytes,
    stepMs,
  }
}

/** Samples as the columns of a report's row. */
export function columnsOf(samples: readonly ConversionSample[]): Record<string, number[]> {
  const steps = Object.keys(samples[0]?.stepMs ?? {})
  return {
    'MB/s': samples.map(({ megabytesPerSec }) => megabytesPerSec),
    'peak MiB': samples.map(({ peakRssBytes }) => peakRssBytes / 1024 ** 2),
    'stored ÷ gzip': samples.map(({ storedShare }) => storedShare),
    ...Object.fromEntries(
      steps.map((step) => [`${step} s`, samples.map(({ stepMs }) => (stepMs[step] ?? 0) / 1e3)]),
    ),
  }
}
