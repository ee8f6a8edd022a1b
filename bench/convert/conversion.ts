/** One conversion of an image from a registry into the same registry, by any converter. */
import { bytesBelow } from '../bytes-below.js'
import type { LayerSizes } from '../layer-sizes.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'

export interface Conversion {
  readonly elapsedMs: number
  /** Peak memory of the converting program alone, without the registry and containerd. */
  readonly peakRssBytes: number
  /** Time of each step by its name. Empty if there is only one step. */
  readonly stepMs: Readonly<Record<string, number>>
}

export interface ConversionSample {
  readonly megabytesPerSec: number
  readonly peakRssBytes: number
  /** Bytes that the registry has gained ÷ bytes of the image's gzip layers. */
  readonly storedShare: number
  readonly stepMs: Readonly<Record<string, number>>
}

/** Runs `convert`, and measures the registry's storage before and after it. */
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

/** Turns samples into the columns of a report's row. */
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
