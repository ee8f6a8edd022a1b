/** Parses, formats and compares platforms as containerd does: `os/architecture[/variant]`. */
import { SnapshotterError } from '../../errors.js'
import type { Platform } from './manifest.js'

const PART = /^[a-z0-9_.-]{1,64}$/

/** Parses `linux/arm64/v8`. Throws `invalid-argument`. */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant, ...rest] = text.toLowerCase().split('/')
  const parts = variant === undefined ? [os, architecture] : [os, architecture, variant]
  if (rest.length > 0 || !parts.every((part) => PART.test(part))) {
    throw new SnapshotterError(
      'invalid-argument',
      `platform "${text.slice(0, 100)}": expected os/architecture[/variant], as in linux/arm64/v8`,
    )
  }
  return { os, architecture: normalArchitecture(architecture), ...(variant ? { variant } : {}) }
}

export function formatPlatform(platform: Platform): string {
  const base = `${platform.os}/${platform.architecture}`
  return platform.variant === undefined ? base : `${base}/${platform.variant}`
}

/**
 * Whether an image for `candidate` is an image for `wanted`. If `wanted` has no variant, every
 * variant matches. `wanted` comes from `parsePlatform`.
 */
export function matchesPlatform(wanted: Platform, candidate: Platform): boolean {
  if (wanted.os !== candidate.os) return false
  if (normalArchitecture(candidate.architecture) !== wanted.architecture) return false
  if (wanted.variant === undefined) return true
  return wanted.variant === normalVariant(candidate)
}

/** The variant, or containerd's default: v8 for arm64, v7 for arm (platforms, database.go). */
function normalVariant(platform: Platform): string | undefined {
  if (platform.variant !== undefined) return platform.variant
  if (platform.architecture === 'arm64') return 'v8'
  return platform.architecture === 'arm' ? 'v7' : undefined
}

function normalArchitecture(architecture: string): string {
  switch (architecture) {
    case 'x86_64':
    case 'x86-64':
      return 'amd64'
    case 'aarch64':
      return 'arm64'
    case 'i386':
      return '386'
    default:
      return architecture
  }
}
