/** Interpreters that print "hello", each on the base of its official image. */
import { BUILDPACK_IMAGE } from './buildpack-images.js'
import { debianWorkload } from './debian-workload.js'
import type { Workload } from './workload.js'

export const PYTHON: Workload = debianWorkload(
  {
    name: 'python-full',
    from: BUILDPACK_IMAGE,
    packages: ['python3-full', 'python3-dev', 'python3-pip'],
    command: ['python3'],
  },
  { name: 'python', command: ['python3', '-c', 'print("hello")'] },
)

export const PERL: Workload = debianWorkload(
  { name: 'perl', from: BUILDPACK_IMAGE, packages: ['perl', 'cpanminus'], command: ['perl'] },
  { command: ['perl', '-e', 'print("hello\\n")'] },
)

export const RUBY: Workload = debianWorkload(
  { name: 'ruby', from: BUILDPACK_IMAGE, packages: ['ruby-full', 'bundler'], command: ['irb'] },
  { command: ['ruby', '-e', 'puts "hello"'] },
)

export const PHP: Workload = debianWorkload(
  {
    name: 'php',
    packages: [
      ...['autoconf', 'dpkg-dev', 'file', 'g++', 'gcc', 'libc6-dev', 'make', 'pkg-config', 're2c'],
      ...['ca-certificates', 'curl', 'xz-utils'],
      ...['php-cli', 'php-curl', 'php-mbstring', 'php-sqlite3', 'php-xml'],
    ],
    command: ['php', '-a'],
  },
  { command: ['php', '-r', 'echo "hello\\n";'] },
)

/**
 * The imports of a machine learning program: hundreds of modules, and libraries of a hundred
 * megabytes.
 */
export const MACHINE_LEARNING: Workload = debianWorkload(
  {
    name: 'machine-learning',
    packages: ['python3-pandas', 'python3-sklearn', 'python3-torch'],
    command: ['python3'],
  },
  {
    command: ['python3', '-c', 'import torch, sklearn.cluster; print(torch.ones(3).sum().item())'],
  },
)
