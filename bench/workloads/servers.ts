/**
 * Servers. Each is ready when it answers or prints that it is ready. Each has its own port on the
 * loopback interface.
 */
import { BUILDPACK_IMAGE } from './buildpack-images.js'
import { debianWorkload } from './debian-workload.js'
import type { Workload } from './workload.js'

/**
 * Ports below Linux's range for outgoing connections. A connection might occupy a port in that
 * range before the server listens on it.
 */
const PORTS = { node: 27_080, nginx: 27_081, apache: 27_082, redis: 27_083 }

function urlOf(port: number): string {
  return `http://127.0.0.1:${port}/`
}

const NODE_SERVER = `const http = require('node:http')

http
  .createServer((request, response) => {
    response.end('hello\\n')
  })
  .listen(${PORTS.node}, '127.0.0.1')
`

export const NODE: Workload = debianWorkload(
  { name: 'node-full', from: BUILDPACK_IMAGE, packages: ['nodejs', 'npm'], command: ['node'] },
  {
    name: 'node',
    command: ['node', '/src/index.js'],
    sources: { 'index.js': NODE_SERVER },
    hostNetwork: true,
    ready: { kind: 'http', url: urlOf(PORTS.node) },
  },
)

const NGINX_CONFIGURATION = `include /etc/nginx/modules-enabled/*.conf;
error_log /dev/stderr;
pid /run/nginx.pid;
events {}
http {
  include /etc/nginx/mime.types;
  access_log /dev/stdout;
  server {
    listen 127.0.0.1:${PORTS.nginx};
    root /var/www/html;
    index index.nginx-debian.html;
  }
}
`

export const NGINX: Workload = debianWorkload(
  {
    name: 'nginx-full',
    packages: [
      ...['ca-certificates', 'curl', 'gettext-base', 'nginx', 'libnginx-mod-http-geoip'],
      ...['libnginx-mod-http-image-filter', 'libnginx-mod-http-xslt-filter', 'tzdata'],
    ],
    command: ['nginx', '-g', 'daemon off;'],
  },
  {
    name: 'nginx',
    command: ['nginx', '-c', '/src/nginx.conf', '-g', 'daemon off;'],
    sources: { 'nginx.conf': NGINX_CONFIGURATION },
    hostNetwork: true,
    ready: { kind: 'http', url: urlOf(PORTS.nginx) },
  },
)

const APACHE_CONFIGURATION = `ServerRoot /etc/apache2
ServerName localhost
Listen 127.0.0.1:${PORTS.apache}
PidFile /run/apache2.pid
User www-data
Group www-data
LogLevel notice
ErrorLog /dev/stderr
IncludeOptional mods-enabled/*.load
IncludeOptional mods-enabled/*.conf
DocumentRoot /var/www/html
<Directory /var/www/html>
  Require all granted
</Directory>
`

export const APACHE: Workload = debianWorkload(
  {
    name: 'apache',
    packages: ['apache2', 'ca-certificates'],
    command: ['apache2ctl', '-DFOREGROUND'],
  },
  {
    command: ['apache2', '-f', '/src/apache2.conf', '-D', 'FOREGROUND'],
    env: [
      ...['APACHE_LOCK_DIR=/run', 'APACHE_LOG_DIR=/var/log/apache2', 'APACHE_RUN_DIR=/run'],
      ...['APACHE_PID_FILE=/run/apache2.pid', 'APACHE_RUN_USER=www-data'],
      'APACHE_RUN_GROUP=www-data',
    ],
    sources: { 'apache2.conf': APACHE_CONFIGURATION },
    hostNetwork: true,
    ready: { kind: 'line', text: '-D FOREGROUND' },
  },
)

export const REDIS: Workload = debianWorkload(
  { name: 'redis', packages: ['redis-server', 'gosu'], command: ['redis-server'] },
  {
    command: [
      ...['gosu', 'redis', 'redis-server', '--bind', '127.0.0.1', '--port', String(PORTS.redis)],
      ...['--save', '', '--dir', '/var/lib/redis'],
    ],
    hostNetwork: true,
    ready: { kind: 'line', text: 'Ready to accept connections' },
  },
)
