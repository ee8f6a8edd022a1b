/** All workloads of cold starts, from the smallest image to the largest. */
import { COMPILERS, GCC, GOLANG, JAVA } from './compilers.js'
import { MARIADB, POSTGRESQL } from './databases.js'
import { MACHINE_LEARNING, PERL, PHP, PYTHON, RUBY } from './interpreters.js'
import { APACHE, NGINX, NODE, REDIS } from './servers.js'
import type { Workload } from './workload.js'
import { busyboxImage } from '../../test/sandbox/images/busybox-image.js'

const ECHO: Workload = {
  name: 'echo',
  image: busyboxImage,
  command: ['echo', 'hello'],
  env: [],
  sources: {},
  hostNetwork: false,
  ready: { kind: 'exit' },
}

export const WORKLOADS: readonly Workload[] = [
  ...[ECHO, PYTHON, PERL, RUBY, PHP],
  ...[NODE, NGINX, APACHE, REDIS, POSTGRESQL, MARIADB],
  ...[GCC, GOLANG, JAVA, MACHINE_LEARNING, COMPILERS],
]
