/**
 * A real nginx on loopback. Each of its servers is configured by the directives of a server block.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../sandbox/free-port.js'
import { Service } from '../../sandbox/service.js'

/** One virtual server. `directives` are the lines of its server block. */
export interface NginxServer {
  readonly directives: readonly string[]
  readonly tls?: { readonly certificate: string; readonly key: string }
}

export class Nginx {
  /** The servers' ports, in the order of the servers. */
  readonly ports: readonly number[]
  readonly #service: Service

  private constructor(service: Service, ports: readonly number[]) {
    this.#service = service
    this.ports = ports
  }

  /**
   * Starts up to four servers. `servers` is called with their ports, so that one server's block can
   * name another server. The caller closes it.
   */
  static async start(
    directory: string,
    servers: (ports: readonly number[]) => readonly NginxServer[],
  ): Promise<Nginx> {
    mkdirSync(directory, { recursive: true })
    const ports = [await freePort(), await freePort(), await freePort(), await freePort()]
    const config = join(directory, 'nginx.conf')
    const blocks = servers(ports).map(({ directives, tls }, i) => {
      const address = `127.0.0.1:${ports[i] ?? 0}`
      const listen =
        tls === undefined
          ? [`listen ${address};`]
          : [
              `listen ${address} ssl;`,
              `ssl_certificate ${tls.certificate};`,
              `ssl_certificate_key ${tls.key};`,
            ]
      return `server { ${[...listen, ...directives].join(' ')} }`
    })
    writeFileSync(
      config,
      [
        'user root; daemon off; worker_processes 1;',
        `pid ${directory}/nginx.pid; error_log ${directory}/error.log;`,
        'events { worker_connections 256; }',
        `http { access_log off; client_body_temp_path ${directory}/body;`,
        `proxy_temp_path ${directory}/proxy; fastcgi_temp_path ${directory}/fastcgi;`,
        `uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;`,
        ...blocks,
        '}',
      ].join('\n'),
    )
    const service = await Service.start({
      command: ['nginx', '-e', join(directory, 'error.log'), '-c', config],
      logFile: join(directory, 'nginx.log'),
      ready: async () => (await fetch(`http://127.0.0.1:${ports[0] ?? 0}/`)).status > 0,
    })
    return new Nginx(service, ports)
  }

  async close(): Promise<void> {
    await this.#service.stop(5_000)
  }
}
