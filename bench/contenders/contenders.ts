/** Everything that a cold start is measured with. */
import type { Contender } from './contender.js'
import { OVERLAYFS } from './overlayfs.js'
import { THIN } from './thin.js'
import { THIN_GUESS } from './thin-guess.js'
import { THIN_PROFILE } from './thin-profile.js'

export const CONTENDERS: readonly Contender[] = [OVERLAYFS, THIN, THIN_GUESS, THIN_PROFILE]
