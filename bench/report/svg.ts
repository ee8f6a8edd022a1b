/** Charts drawn by echarts, without a browser. */
import { createRequire } from 'node:module'

/** What is used of echarts. Its own types need those of the DOM, which no other part of this project has. */
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
  /** Of the file, without an extension; letters that a file name and an XML id both take. */
  readonly name: string
  /** For who does not see it. */
  readonly description: string
  readonly widthPx: number
  readonly heightPx: number
  /** As echarts takes it. */
  readonly option: object
}

const require = createRequire(import.meta.url)

/** The same bytes for the same chart. */
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
    // Ids count up over all drawings of a process: named after the chart they are always the same,
    // and several charts fit on one page. What happens under a pointer is half of the bytes.
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
