/** All contenders of cold starts. */
import type { Contender } from './contender.js'
import { NYDUS } from './nydus.js'
import { OVERLAYFS } from './overlayfs.js'
import { SOCI } from './soci.js'
import { STARGZ, STARGZ_OPTIMIZED } from './stargz.js'
import { THIN } from './thin.js'
import { THIN_PROFILE } from './thin-profile.js'

export const CONTENDERS: readonly Contender[] = [
  OVERLAYFS,
  THIN,
  THIN_PROFILE,
  STARGZ,
  STARGZ_OPTIMIZED,
  NYDUS,
  SOCI,
]
