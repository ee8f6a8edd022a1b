/**
 * A program for containers that reads files of its image over and over and compares them with known
 * checksums. It reads with read(2), through mmap(2) and by running programs, in random order, and
 * drops the pages of each file afterwards, so that the next read has to ask the daemon. Python must
 * run with -B: otherwise it writes compiled files of its own into the folder.
 */

/** The folder whose files are read. */
const FOLDER = '/usr/lib/python3.11'

/** Where containers find the checksums. */
export const EXPECTED_PATH = '/expected.json'

/** Prints the checksum of each file, as JSON. Run once, in a container of the ordinary image. */
export const EXPECT_PROGRAM = `
import hashlib, json, os
sums = {}
for folder, _, names in os.walk('${FOLDER}'):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            sums[path] = hashlib.sha1(open(path, 'rb').read()).hexdigest()
print(json.dumps(sums))
`

/** Reads until SIGTERM, then prints a \`ReaderReport\`. */
export const READ_PROGRAM = `
import hashlib, json, mmap, os, random, signal, subprocess, sys, time
seed = int(sys.argv[1])
rng = random.Random(seed)
expected = json.load(open('${EXPECTED_PATH}'))
paths = sorted(expected)
report = {'files': 0, 'bytes': 0, 'programs': 0, 'wrong': [], 'errors': [], 'pausesMs': []}
stopped = False
def stop(*_):
    global stopped
    stopped = True
signal.signal(signal.SIGTERM, stop)
def content(fd, size):
    if size > 0 and rng.random() < 0.5:
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as mapped:
            return bytes(mapped)
    return os.pread(fd, size, 0) if size < 1 << 20 else b''.join(iter(lambda: os.read(fd, 65536), b''))
while not stopped:
    for path in rng.sample(paths, len(paths)):
        if stopped:
            break
        began = time.monotonic()
        try:
            fd = os.open(path, os.O_RDONLY)
            try:
                data = content(fd, os.fstat(fd).st_size)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)
            report['files'] += 1
            report['bytes'] += len(data)
            if hashlib.sha1(data).hexdigest() != expected[path]:
                report['wrong'].append(path)
            if report['files'] % 500 == 0:
                subprocess.run(['/bin/true'], check=True)
                report['programs'] += 1
        except Exception as error:
            report['errors'].append(path + ': ' + str(error))
        report['pausesMs'].append(round((time.monotonic() - began) * 1000))
report['pausesMs'] = sorted(report['pausesMs'])[-1000:]
print('REPORT ' + json.dumps(report), flush=True)
`

export interface ReaderReport {
  /** Files read, and bytes. */
  readonly files: number
  readonly bytes: number
  /** Programs run. */
  readonly programs: number
  /** Paths whose bytes had another checksum. */
  readonly wrong: readonly string[]
  /** Paths that could not be read, with the error. */
  readonly errors: readonly string[]
  /** Duration of each of the 1,000 slowest reads, shortest first. */
  readonly pausesMs: readonly number[]
}

/** Reads the report out of a container's output. Throws if the program has printed none. */
export function reportFrom(output: string): ReaderReport {
  const line = output.split('\n').find((text) => text.startsWith('REPORT '))
  if (line === undefined) throw new Error(`a reader printed no report: ${output.slice(-500)}`)
  return JSON.parse(line.slice('REPORT '.length)) as ReaderReport
}
