/**
 * The base images of the official images of languages, in the same steps: a base, programs that
 * fetch, programs that check out sources, and compilers and libraries for the modules of a
 * language.
 */
import type { DebianImage } from '../../test/sandbox/images/debian-image.js'

const CURL: DebianImage = {
  name: 'curl',
  packages: ['ca-certificates', 'curl', 'gnupg', 'netbase', 'tzdata', 'wget'],
  command: ['/bin/sh'],
}

/** The base for languages with a compiler of their own. */
export const SOURCE_CONTROL_IMAGE: DebianImage = {
  name: 'source-control',
  from: CURL,
  packages: ['git', 'mercurial', 'openssh-client', 'procps', 'subversion'],
  command: ['/bin/sh'],
}

/** The base for languages whose modules are compiled from C. */
export const BUILDPACK_IMAGE: DebianImage = {
  name: 'buildpack',
  from: SOURCE_CONTROL_IMAGE,
  packages: [
    ...['autoconf', 'automake', 'bzip2', 'dpkg-dev', 'file', 'g++', 'gcc', 'imagemagick'],
    ...['libbz2-dev', 'libc6-dev', 'libcurl4-openssl-dev', 'libdb-dev', 'libevent-dev'],
    ...['libffi-dev', 'libgdbm-dev', 'libglib2.0-dev', 'libgmp-dev', 'libjpeg-dev', 'libkrb5-dev'],
    ...['liblzma-dev', 'libmagickcore-dev', 'libmagickwand-dev', 'libmaxminddb-dev'],
    ...['libncurses-dev', 'libpng-dev', 'libpq-dev', 'libreadline-dev', 'libsqlite3-dev'],
    ...['libssl-dev', 'libtool', 'libwebp-dev', 'libxml2-dev', 'libxslt1-dev', 'libyaml-dev'],
    ...['default-libmysqlclient-dev', 'make', 'patch', 'unzip', 'xz-utils', 'zlib1g-dev'],
  ],
  command: ['/bin/sh'],
}
