/** Charts drawn by echarts, without a browser. */
import { createRequire } from 'node:module'

/**
 * The part of echarts that is used here. Its own types need the types of the DOM, which no other
 * part of this project uses.
 */
interface Echarts {
  readonly init: (
    dom: null,
    theme: null,
    options: { renderer: 'svg'; ssr: true; width: number; height: number },
  ) => {
    readonly setOption: (option: object) => void
    readonly renderToSVGString: () => string
    readonly dispose: () => void
  }
}

export interface Chart {
  /**
   * Name of the file without extension. It has only letters that a file name and an XML id both
   * allow.
   */
  readonly name: string
  /** Description for readers who cannot see the chart. */
  readonly description: string
  readonly widthPx: number
  readonly heightPx: number
  /** The option object of echarts. */
  readonly option: object
}

const require = createRequire(import.meta.url)

/** Draws a chart as SVG. The same chart gives the same bytes. */
export function svgOf({ name, description, widthPx, heightPx, option }: Chart): string {
  const echarts = require('echarts') as Echarts
  const drawing = echarts.init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: widthPx,
    height: heightPx,
  })
  try {
    drawing.setOption({ animation: false, ...option })
    // echarts counts ids up over all drawings of a process. Ids named after the chart are always
    // the same, and allow several charts on one page. Styles and attributes for the mouse pointer
    // are removed, because they are half of the bytes.
    const svg = drawing
      .renderToSVGString()
      .replaceAll(/\bzr\d+-/g, `${name}-`)
      .replace(/<style\b[\s\S]*?<\/style>\s*/, '')
      .replaceAll(/ (?:class|pointer-events|ecmeta_\w+)="[^"]*"/g, '')
    return svg.replace('<svg ', `<svg role="img" aria-label="${escapedXml(description)}" `)
  } finally {
    drawing.dispose()
  }
}

export function escapedXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
