export {
  type ConvertModules,
  type ConvertOptions,
  DEFAULT_LEVEL,
  convertImage,
} from './convert-image.js'
export type { ConvertResult } from './convert-result.js'
export { type ConvertProgress, type ProgressTask, noProgress } from './progress.js'
export { contentTag } from './registry-store.js'
