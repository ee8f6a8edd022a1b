// The rules for imports: the layers that each layer may import, the files through which it may
// import them, and the rooms that each room of snapshotter/ may import. `npm run lint` checks every
// import, `import type` included. Import cycles are checked by .oxlintrc.json.

/** The layers that each layer may import. README.md, "Layers", gives the reasons. */
const LAYERS = {
  'index-format': [],
  fusefs: ['index-format'],
  proto: [],
  snapshotter: ['index-format', 'fusefs', 'proto'],
}

/**
 * The doors of each layer: the files through which other layers import it. The doors besides
 * index.ts are for threads and processes that must stay small. Their exports load only a few of the
 * layer's modules.
 */
const DOORS = {
  'index-format': ['index.ts', 'reading.ts', 'decoding.ts', 'system-error.ts'],
  fusefs: ['index.ts', 'mounting.ts'],
  proto: ['index.ts'],
  snapshotter: ['index.ts'],
}

/** The files that every room of snapshotter/ may import. */
const FLOOR = ['errors.ts']

/**
 * The rooms of snapshotter/, each with the rooms that it may import besides `FLOOR`. A room is a
 * folder without the rooms inside it, or a single file. A new room has to be listed here.
 */
export const ROOMS = {
  cli: [
    'config',
    'images/registry',
    'inspect',
    'inspect/verify',
    'log',
    'node/admin',
    'node/daemon',
    'node/fuse-servers.ts',
    'node/keeper',
    'node/mountpoints.ts',
    'node/root-directory.ts',
    'node/snapshots',
    'publish/convert',
    'publish/optimize',
    'serve',
    'trees',
    'version.ts',
  ],
  // The layer's door. Only this room and cli may import both halves, node and publish.
  'index.ts': [
    'config',
    'images/registry',
    'node/service',
    'node/snapshots',
    'publish/convert',
    'serve',
  ],

  'node/daemon': [
    'config',
    'images/registry',
    'indexes',
    'node/admin',
    'node/fuse-servers.ts',
    'node/metrics',
    'node/mountpoints.ts',
    'node/overlay-mounts.ts',
    'node/rehearsal',
    'node/root-directory.ts',
    'node/service',
    'node/snapshots',
    'node/starts',
    'node/tree-changes.ts',
    'stores',
    'version.ts',
    'waiting',
  ],
  'node/rehearsal': ['node/service', 'serve'],
  'node/admin': ['images/registry', 'node/starts', 'node/unix-socket.ts'],
  'node/metrics': [],
  'node/service': ['node/snapshots', 'node/unix-socket.ts'],
  'node/keeper': ['node/overlay-mounts.ts', 'node/unix-socket.ts'],
  'node/starts': ['images', 'indexes', 'node/fuse-servers.ts', 'profiles', 'stores', 'trees'],
  'node/snapshots': ['node/overlay-mounts.ts', 'node/snapshots/filter', 'waiting'],
  'node/snapshots/filter': [],
  'node/fuse-servers.ts': [],
  'node/mountpoints.ts': [],
  'node/root-directory.ts': [],
  'node/overlay-mounts.ts': [],
  'node/tree-changes.ts': [],
  'node/unix-socket.ts': [],

  'publish/optimize': ['images', 'images/registry', 'inspect', 'profiles', 'publish/convert'],
  'publish/convert': ['images', 'images/registry', 'publish/guess'],
  'publish/guess': ['trees'],

  'inspect/verify': ['images', 'images/registry', 'inspect', 'trees'],
  inspect: ['images', 'images/registry', 'indexes', 'profiles', 'trees'],
  profiles: ['images', 'images/registry'],
  indexes: ['images', 'images/registry', 'stores', 'waiting'],
  stores: ['config', 'images/registry'],
  serve: ['images', 'images/registry'],
  images: ['images/registry'],
  'images/registry': [],
  trees: [],
  log: ['config'],
  waiting: [],
  config: [],
  'version.ts': [],
  'errors.ts': [],
}

const layers = Object.keys(LAYERS)
const rooms = Object.keys(ROOMS)
const escaped = (path) => path.replaceAll('.', '\\.')

/** A pattern that matches the files of a room, but not the files of rooms inside it. */
function roomPattern(room) {
  if (room.endsWith('.ts')) return `^snapshotter/${escaped(room)}$`
  const inner = rooms
    .filter((other) => other.startsWith(`${room}/`))
    .map((other) => escaped(other.slice(room.length + 1)))
  return `^snapshotter/${room}/${inner.length > 0 ? `(?!(${inner.join('|')})(/|$))` : ''}`
}

/** A layer may import itself and the layers in `LAYERS`, and nothing else of this repository. */
const layerOrder = layers.flatMap((layer) =>
  [...layers, 'test', 'bench']
    .filter((other) => other !== layer && !LAYERS[layer].includes(other))
    .map((other) => ({
      name: `layer-order/${layer}/${other}`,
      comment: `${layer} must not import ${other}: imports point down (README.md, "Layers").`,
      severity: 'error',
      from: { path: `^${layer}/` },
      to: { path: `^${other}/` },
    })),
)

/** A layer may import only the doors of another layer. */
const layerDoors = layers.map((layer) => ({
  name: `layer-door/${layer}`,
  comment: `Import ${layer} through ${layer}/index.ts only (README.md, "Layers").`,
  severity: 'error',
  from: { path: `^(${layers.join('|')})/`, pathNot: `^${layer}/` },
  to: {
    path: `^${layer}/`,
    pathNot: `^${layer}/(${DOORS[layer].map(escaped).join('|')})$`,
  },
}))

const roomOrder = rooms.map((room) => ({
  name: `room-order/${room}`,
  comment: `snapshotter/${room} may import only the rooms that ROOMS in .dependency-cruiser.js lists for it.`,
  severity: 'error',
  from: { path: roomPattern(room) },
  to: {
    path: '^snapshotter/',
    pathNot: [room, ...FLOOR, ...ROOMS[room]].map(roomPattern),
  },
}))

const unlistedRoom = {
  name: 'room-unlisted',
  comment: 'Every file of snapshotter/ belongs to a room of ROOMS in .dependency-cruiser.js.',
  severity: 'error',
  from: { path: '^snapshotter/', pathNot: rooms.map(roomPattern) },
  to: {},
}

export default {
  forbidden: [...layerOrder, ...layerDoors, ...roomOrder, unlistedRoom],
  options: {
    includeOnly: `^(${[...layers, 'test', 'bench'].join('|')})/`,
    // Without this, `import type` is not checked. test/house/lint.test.ts notices if it is missing.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
}
