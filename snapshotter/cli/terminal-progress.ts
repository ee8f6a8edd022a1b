/** Progress bars on standard error. Where it is no terminal, nothing is shown. */
import cliProgress from 'cli-progress'
import { type ConvertProgress, type ProgressTask, noProgress } from '../publish/convert/index.js'

const MIB = 1024 * 1024

export interface TerminalProgress extends ConvertProgress {
  /** Removes the bars. Other text may be written after this. Idempotent. */
  stop(): void
}

export function terminalProgress(): TerminalProgress {
  if (!process.stderr.isTTY) return { ...noProgress, stop: () => undefined }
  const bars = new cliProgress.MultiBar(
    {
      stream: process.stderr,
      format: '{name} {bar} {percentage}% {doneMib}/{totalMib} MiB',
      clearOnComplete: true,
      hideCursor: true,
      fps: 8,
    },
    cliProgress.Presets.shades_grey,
  )
  return {
    begin: (name, total) => barTask(bars, name.padEnd(26), total),
    stop: () => {
      bars.stop()
    },
  }
}

function barTask(bars: cliProgress.MultiBar, name: string, total: number): ProgressTask {
  const totalMib = (total / MIB).toFixed(1)
  const bar = bars.create(Math.max(total, 1), 0, { name, doneMib: '0.0', totalMib })
  let done = 0
  let ended = false
  return {
    advance: (amount) => {
      done += amount
      bar.update(done, { doneMib: (done / MIB).toFixed(1) })
    },
    end: () => {
      if (ended) return
      ended = true
      bar.stop()
      bars.remove(bar)
    },
  }
}
