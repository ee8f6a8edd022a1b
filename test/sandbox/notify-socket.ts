/** Plays systemd's end of sd_notify(3): a datagram socket, which Node.js does not have. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** Prints the first line of every datagram. Perl is part of every Debian. */
const RECEIVER = `
use Socket; $| = 1;
socket(my $s, PF_UNIX, SOCK_DGRAM, 0) or die $!;
bind($s, pack_sockaddr_un($ARGV[0])) or die $!;
print "listening\\n";
while (defined recv($s, my $text, 4096, 0)) { $text =~ s/\\n.*//s; print "$text\\n"; }
`

export class NotifySocket {
  readonly path: string
  /** What was received, without the barriers of systemd-notify(1). */
  readonly messages: string[] = []
  readonly #receiver: ChildProcess

  private constructor(path: string, receiver: ChildProcess) {
    this.path = path
    this.#receiver = receiver
  }

  /** Listens on `path`, which must not exist. The caller closes it. */
  static async listen(path: string): Promise<NotifySocket> {
    const receiver = spawn('perl', ['-e', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    const socket = new NotifySocket(path, receiver)
    let rest = ''
    receiver.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      socket.messages.push(...lines.filter((line) => line !== 'BARRIER=1'))
    })
    await once(receiver.stdout, 'data')
    socket.messages.splice(0)
    return socket
  }

  async close(): Promise<void> {
    const ended = once(this.#receiver, 'close')
    this.#receiver.kill('SIGKILL')
    await ended
  }
}
