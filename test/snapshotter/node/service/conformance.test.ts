import { RunningService } from './running-service.js'
import { snapshotterSuite } from './conformance-suite.js'

snapshotterSuite('SnapshotStore, through its socket', () => RunningService.start())
