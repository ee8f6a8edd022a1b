// Settings of `npm run test:unit`. It runs the tests that need neither root nor a mount nor a
// program that deploy/prepare installs. A new test is among them unless it is listed here. If it
// needs one of these and is not listed, it fails for an ordinary user. `npm test` runs all tests.

/** The tests that are left out: folders and files, relative to test/, without `.test.ts`. */
const LEFT_OUT = [
  // These run containerd, a registry, nginx, skopeo or umoci.
  'end-to-end/',
  'faults/',
  'bench/workloads',
  'fusefs/content/real-stores',
  'index-format/merge/containerd',
  'regress/claimed-diff-id',
  'sandbox/image-cache',
  'sandbox/sandbox',
  'snapshotter/cli/convert-command',
  'snapshotter/cli/verify',
  'snapshotter/images/registry/repository',
  'snapshotter/node/service/containerd',
  'snapshotter/publish/convert/convert-forms',
  'snapshotter/publish/convert/convert-killed',
  'snapshotter/publish/convert/convert-registry',
  'snapshotter/publish/optimize/several-platforms',
  'snapshotter/serve/store-server',
  // These mount, or open /dev/fuse.
  'fusefs/content/disk-tier',
  'fusefs/transport/deadline',
  'fusefs/transport/faults',
  'fusefs/transport/kernel-mount',
  'fusefs/transport/mount-tree',
  'fusefs/transport/native-mount',
  'fusefs/transport/ordinary-user',
  'fusefs/transport/overlay',
  'fusefs/transport/page-cache',
  'fusefs/transport/stand-in',
  'fusefs/transport/takeover',
  'snapshotter/cli/mount',
  'snapshotter/node/service/conformance',
  'snapshotter/node/service/snapshots-service',
  'snapshotter/node/service/thin-layers',
  // These make devices, or files of other users.
  'index-format/tar/real-tar',
  'sandbox/tree-comparison',
  // These need no prepared machine, but they take long: they run the linter, thinctl or a store in
  // processes of their own, many times.
  'house/lint',
  'snapshotter/cli/cat',
  'snapshotter/cli/check',
  'snapshotter/cli/inspect',
  'snapshotter/cli/ls',
  'snapshotter/node/snapshots/crash',
]

module.exports = {
  ...require('../../.mocharc.json'),
  spec: ['dist/test/**/*.test.js'],
  ignore: LEFT_OUT.map((path) =>
    path.endsWith('/') ? `dist/test/${path}**` : `dist/test/${path}.test.js`,
  ),
  parallel: true,
  jobs: 2,
}
