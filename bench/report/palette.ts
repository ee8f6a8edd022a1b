/**
 * Colours that colour-blind readers can tell apart (Okabe and Ito's). A contender has the same
 * colour in every chart.
 */

export const INK = '#1f2328'
export const FAINT = '#59636e'
export const RULE = '#d1d9e0'
export const PAPER = '#ffffff'
export const FONT = 'Helvetica, Arial, sans-serif'
/** Icon of lines across a chart. */
export const BAR_ICON = 'path://M0,0h3v14h-3z'

export interface Look {
  readonly color: string
  /** The contender's symbol, as echarts names it: a second difference besides the colour. */
  readonly symbol: string
}

const KNOWN: Readonly<Record<string, Look>> = {
  overlayfs: { color: '#6e7781', symbol: 'rect' },
  stargz: { color: '#e69f00', symbol: 'triangle' },
  nydus: { color: '#cc79a7', symbol: 'diamond' },
  soci: { color: '#d55e00', symbol: 'roundRect' },
  thin: { color: '#56b4e9', symbol: 'circle' },
  'thin-profile': { color: '#0072b2', symbol: 'circle' },
}

const OTHERS: readonly Look[] = [
  { color: '#009e73', symbol: 'pin' },
  { color: '#b8a900', symbol: 'arrow' },
]

/**
 * The look of a contender, the same for the same name. Unknown contenders share the other looks.
 */
export function lookOf(contender: string, contenders: readonly string[]): Look {
  const known = Object.hasOwn(KNOWN, contender) ? KNOWN[contender] : undefined
  const strangers = contenders.filter((name) => !Object.hasOwn(KNOWN, name))
  const other = OTHERS[strangers.indexOf(contender) % OTHERS.length]
  return known ?? other ?? { color: INK, symbol: 'rect' }
}

/** Mixes a colour with white. At a share of 1 it is the colour itself. */
export function tinted(color: string, share: number): string {
  const part = (from: number): string =>
    Math.round(255 + (parseInt(color.slice(from, from + 2), 16) - 255) * share)
      .toString(16)
      .padStart(2, '0')
  return `#${part(1)}${part(3)}${part(5)}`
}

export function titleOf(text: string, subtext: string): object {
  return {
    text,
    subtext,
    left: 16,
    top: 12,
    textStyle: { fontSize: 17, color: INK, fontFamily: FONT },
    subtextStyle: { fontSize: 12.5, color: FAINT, fontFamily: FONT, lineHeight: 17 },
  }
}
