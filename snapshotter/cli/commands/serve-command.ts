/** `thinctl serve`: serves a folder as a store and a pull-only registry, until interrupted. */
import { once } from 'node:events'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { StoreServer } from '../../serve/index.js'
import type { CommandContext } from '../command-context.js'

interface Options {
  readonly listen: { readonly host: string; readonly port: number }
  readonly json: boolean
}

const DEFAULT_LISTEN = '127.0.0.1:5050'

export function addServeCommand(program: Command, context: CommandContext): void {
  program
    .command('serve')
    .description('serve a folder as a store and a pull-only registry')
    .argument('<dir>', 'what "convert --store DIR" or "convert … oci:DIR" wrote')
    .addOption(
      new Option('--listen <host:port>', 'address; port 0 is any free one')
        .argParser(parseListen)
        .default(parseListen(DEFAULT_LISTEN), DEFAULT_LISTEN),
    )
    .option('--json', 'print the address as JSON', false)
    .addHelpText(
      'after',
      '\nThere is no authentication and no TLS: think before you leave loopback.',
    )
    .action(async (folder: string, options: Options) => {
      await serve(folder, options, context)
    })
}

async function serve(
  folder: string,
  options: Options,
  { log, signal }: CommandContext,
): Promise<void> {
  const { host, port } = options.listen
  const server = await StoreServer.start({ folder, host, port }, { log })
  try {
    const { url } = server
    process.stdout.write(
      options.json ? `${JSON.stringify({ url, folder })}\n` : `serving ${folder} at ${url}\n`,
    )
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    await server.close()
  }
}

function parseListen(text: string): Options['listen'] {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port <= 65_535)) {
    throw new InvalidArgumentError('It must be host:port, as in 127.0.0.1:5050.')
  }
  return { host, port }
}
