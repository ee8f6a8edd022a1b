// The order of the code as data: which layer may import which, through which doors, and the same for
// the rooms of snapshotter/. `npm run lint` proves it for every import, `import type` included.
// Circles of imports are found by .oxlintrc.json.

/** Which layers a layer may import; README.md, "Layers", explains why. */
const LAYERS = {
  'index-format': [],
  fusefs: ['index-format'],
  proto: [],
  snapshotter: ['index-format', 'fusefs', 'proto'],
}

/**
 * The files through which other layers import a layer. Beside index.ts there are smaller doors for
 * threads and processes that are to stay small: their exports need few of the layer's modules.
 */
const DOORS = {
  'index-format': ['index.ts', 'reading.ts', 'decoding.ts', 'system-error.ts'],
  fusefs: ['index.ts', 'mounting.ts'],
  proto: ['index.ts'],
  snapshotter: ['index.ts'],
}

/** Every room of snapshotter/ may import these. */
const FLOOR = ['errors.ts']

/**
 * The rooms of snapshotter/, each with the rooms it may import besides the floor. A room is a folder
 * without the rooms inside it, or a single file. A new room has to be listed here.
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
    'node/snapshots',
    'publish/convert',
    'publish/optimize',
    'serve',
    'trees',
    'version.ts',
  ],
  // The layer's door. Like cli it sees both halves, node and publish; no other room does.
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

/** Matches the files of a room, and none of a room inside it. */
function roomPattern(room) {
  if (room.endsWith('.ts')) return `^snapshotter/${escaped(room)}$`
  const inner = rooms
    .filter((other) => other.startsWith(`${room}/`))
    .map((other) => escaped(other.slice(room.length + 1)))
  return `^snapshotter/${room}/${inner.length > 0 ? `(?!(${inner.join('|')})(/|$))` : ''}`
}

/** From a layer, everything of this repository is out of reach but itself and the layers below. */
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

/** From another layer, only the doors of a layer are in reach. */
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
    // Without this, type imports are not seen; test/house/lint.test.ts keeps watch.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
}
