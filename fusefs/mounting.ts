/**
 * The small door: what a process needs that only makes and ends mounts. The keeper lives as long as
 * the mounts do, so it holds nothing that it does not run.
 */
export { mountFuse, unmountFuse } from './transport/kernel-mount.js'
