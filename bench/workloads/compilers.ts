/** Compilers that compile and run a program that prints "hello". */
import { BUILDPACK_IMAGE, SOURCE_CONTROL_IMAGE } from './buildpack-images.js'
import { debianWorkload } from './debian-workload.js'
import type { Workload } from './workload.js'
import type { DebianImage } from '../../test/sandbox/images/debian-image.js'

/** A command that runs `line` in a shell. */
function shell(line: string): string[] {
  return ['sh', '-c', line]
}

export const GCC: Workload = debianWorkload(
  { name: 'gcc', from: BUILDPACK_IMAGE, packages: ['gfortran', 'gobjc++'], command: ['bash'] },
  {
    command: shell('gcc -o /tmp/hello /src/main.c && /tmp/hello'),
    sources: {
      'main.c': '#include <stdio.h>\n\nint main(void) {\n  puts("hello");\n  return 0;\n}\n',
    },
  },
)

export const GOLANG: Workload = debianWorkload(
  {
    name: 'golang',
    from: SOURCE_CONTROL_IMAGE,
    packages: ['g++', 'gcc', 'golang-go', 'libc6-dev', 'make', 'pkg-config'],
    command: ['bash'],
  },
  {
    command: shell('cd /src && go run main.go'),
    env: ['HOME=/root'],
    sources: {
      'main.go': 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("hello")\n}\n',
    },
  },
)

export const JAVA: Workload = debianWorkload(
  {
    name: 'openjdk',
    from: SOURCE_CONTROL_IMAGE,
    packages: [
      ...['bzip2', 'ca-certificates-java', 'fontconfig', 'libfreetype6', 'p11-kit'],
      ...['openjdk-17-jdk-headless', 'unzip', 'xz-utils'],
    ],
    // Java's packages need this directory: their dpkg-divert and alternatives use the directories
    // of manual pages.
    before: ['mkdir -p /usr/share/man/man1'],
    command: ['jshell'],
  },
  {
    command: shell('javac -d /tmp /src/Main.java && java -cp /tmp Main'),
    sources: {
      'Main.java':
        'public class Main {\n  public static void main(String[] arguments) {\n' +
        '    System.out.println("hello");\n  }\n}\n',
    },
  },
)

/** Compilers of five languages and what they need: 2 GB of programs, libraries and sources. */
export const COMPILERS_IMAGE: DebianImage = {
  name: 'compilers',
  packages: ['ghc', 'golang-go', 'openjdk-17-jdk-headless', 'rustc', 'clang'],
  command: ['/bin/sh'],
}

export const COMPILERS: Workload = debianWorkload(COMPILERS_IMAGE, {
  command: shell('ghc -v0 -outputdir /tmp -o /tmp/hello /src/Main.hs && /tmp/hello'),
  sources: { 'Main.hs': 'main :: IO ()\nmain = putStrLn "hello"\n' },
})
