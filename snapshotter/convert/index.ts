export type { ContentStore } from './content-store.js'
export {
  type ConvertModules,
  type ConvertOptions,
  DEFAULT_LEVEL,
  convertImage,
} from './convert-image.js'
export type { ConvertResult, LayerResult, PlatformResult } from './convert-result.js'
export { type ConvertProgress, type ProgressTask, noProgress } from './progress.js'
export { contentTag } from './registry-store.js'
export { RECIPE_ANNOTATION } from './thin-image.js'
