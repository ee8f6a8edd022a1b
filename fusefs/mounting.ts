/**
 * Entry point for the keeper process, which only mounts and unmounts. It exports nothing else: the
 * keeper lives as long as the mounts and must not hold code in memory that it does not run.
 */
export { mountAt, mountFuse, mountFuseAgain, unmountFuse } from './transport/kernel-mount.js'
