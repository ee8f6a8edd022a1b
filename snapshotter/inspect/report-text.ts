/** Formats the findings of `inspect` for people. */
import type { ContentUsage } from './content-usage.js'
import type { IndexReport, ThinImageReport, TreeReport } from './image-report.js'
import { formatBytes, textTable } from './text-table.js'

/** Lines about one platform's image. */
export function linesFromThinImage(report: ThinImageReport): string[] {
  const { recipe } = report
  const facts: string[][] = [
    ['platform', report.platform],
    ['manifest', report.digest],
    ['pull', formatBytes(report.pullBytes)],
    ...linesFromRecipe(recipe),
  ]
  return [
    ...textTable(facts),
    '',
    ...linesFromTrees(report.trees),
    '',
    ...linesFromContent(report.content),
  ]
}

/** Lines about a recipe in a folder. */
export function linesFromRecipeFolder(
  report: Pick<ThinImageReport, 'recipe' | 'trees' | 'content'>,
): string[] {
  const { content, recipe, trees } = report
  const facts = textTable(linesFromRecipe(recipe))
  return [...facts, '', ...linesFromTrees(trees), '', ...linesFromContent(content)]
}

/** Lines about an index file. */
export function linesFromIndex(report: IndexReport): string[] {
  return [...linesFromTrees([report.tree]), '', ...linesFromContent(report.content)]
}

function linesFromRecipe({
  layers,
  origin,
  stores,
  version,
}: ThinImageReport['recipe']): string[][] {
  return [
    ['recipe', `version ${version}, ${layers.length} layers`],
    ['origin', origin],
    ...stores.map((store) => ['store', store]),
    ...layers.map(({ digest, url }, number) => [`layer ${number}`, `${digest}  ${url}`]),
  ]
}

function linesFromTrees(trees: readonly TreeReport[]): string[] {
  const rows = trees.map((tree) => [
    tree.name,
    tree.class,
    `${tree.inodes}`,
    `${tree.files}`,
    formatBytes(tree.sizeBytes),
    formatBytes(tree.indexSizeBytes),
    tree.indexStoredBytes === undefined ? '' : formatBytes(tree.indexStoredBytes),
    `${tree.packs}`,
    `${tree.frames}`,
    tree.embedded === true ? `${tree.digest} (in the image)` : tree.digest,
  ])
  const titles = [
    'TREE',
    'CLASS',
    'INODES',
    'FILES',
    'SIZE',
    'INDEX',
    'STORED',
    'PACKS',
    'FRAMES',
    'DIGEST',
  ]
  return textTable([titles, ...rows], { right: [2, 3, 4, 5, 6, 7, 8] })
}

function linesFromContent(content: ContentUsage): string[] {
  const ratio = content.packRawBytes === 0 ? 0 : content.packStoredBytes / content.packRawBytes
  const rows = [
    ['content of all files', formatBytes(content.fileBytes)],
    ['  shared within a layer', formatBytes(content.sharedWithinBytes)],
    ['  shared between layers', formatBytes(content.sharedBetweenBytes)],
    ['  each byte once', formatBytes(content.uniqueBytes)],
    ['packs', `${content.packs} with ${content.frames} frames`],
    [
      '  stored',
      `${formatBytes(content.packStoredBytes)} (${(100 * ratio).toFixed(1)} % of ${formatBytes(content.packRawBytes)})`,
    ],
  ]
  return textTable(rows)
}
