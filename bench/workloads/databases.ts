/** Databases that create their files at their first start, as in their official images. */
import { debianWorkload } from './debian-workload.js'
import type { Workload } from './workload.js'

const ENTRYPOINT = 'usr/local/bin/docker-entrypoint.sh'
const ENTRYPOINT_NAME = 'docker-entrypoint.sh'

const POSTGRESQL_ENTRYPOINT = `#!/bin/bash
# Makes the database where there is none, and becomes the server.
set -eo pipefail
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chown postgres:postgres "$PGDATA" /var/run/postgresql
  chmod 700 "$PGDATA"
  exec gosu postgres "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username=postgres --pwfile=<(printf '%s\\n' "$POSTGRES_PASSWORD") --auth-host=scram-sha-256
fi
exec "$@"
`

export const POSTGRESQL: Workload = debianWorkload(
  {
    name: 'postgresql',
    // Otherwise the package would create a database during its installation.
    before: [
      'apt-get -qy --no-install-recommends install postgresql-common locales',
      "sed -i 's/^#\\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf",
      'localedef -i en_US -c -f UTF-8 -A /usr/share/locale/locale.alias en_US.UTF-8',
    ],
    // Remove the certificate and key that this build has generated in the name of the building
    // machine.
    after: [
      'find /etc/ssl/certs -lname ssl-cert-snakeoil.pem -delete',
      'rm -f /etc/ssl/certs/ssl-cert-snakeoil.pem /etc/ssl/private/ssl-cert-snakeoil.key',
    ],
    packages: ['gosu', 'libnss-wrapper', 'postgresql-15', 'tzdata', 'xz-utils', 'zstd'],
    files: { [ENTRYPOINT]: POSTGRESQL_ENTRYPOINT },
    command: [ENTRYPOINT_NAME, 'postgres'],
  },
  {
    command: [ENTRYPOINT_NAME, 'postgres', '-p', '27084', '-c', 'listen_addresses=127.0.0.1'],
    env: [
      ...['LANG=en_US.utf8', 'PGDATA=/var/lib/postgresql/data', 'POSTGRES_PASSWORD=abc'],
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin',
    ],
    hostNetwork: true,
    ready: { kind: 'line', text: 'database system is ready to accept connections' },
  },
)

const MARIADB_ENTRYPOINT = `#!/bin/bash
# Makes the database where there is none, and becomes the server.
set -eo pipefail
if [ "$(id -u)" = 0 ]; then
  mkdir -p /var/lib/mysql /run/mysqld
  chown mysql:mysql /var/lib/mysql /run/mysqld
  exec gosu mysql "$0" "$@"
fi
if [ ! -d /var/lib/mysql/mysql ]; then
  mariadb-install-db --datadir=/var/lib/mysql --auth-root-authentication-method=normal --skip-test-db
fi
exec "$@"
`

export const MARIADB: Workload = debianWorkload(
  {
    name: 'mariadb',
    packages: ['ca-certificates', 'gosu', 'mariadb-backup', 'mariadb-server', 'pwgen', 'tzdata'],
    // The package creates a database during its installation.
    after: ['rm -rf /var/lib/mysql', 'install -d -o mysql -g mysql /var/lib/mysql'],
    files: { [ENTRYPOINT]: MARIADB_ENTRYPOINT },
    command: [ENTRYPOINT_NAME, 'mariadbd'],
  },
  {
    command: [ENTRYPOINT_NAME, 'mariadbd', '--bind-address=127.0.0.1', '--port=27085'],
    hostNetwork: true,
    ready: { kind: 'line', text: 'ready for connections' },
  },
)
