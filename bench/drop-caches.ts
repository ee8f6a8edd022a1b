import { writeFileSync } from 'node:fs'
import { runProgram } from '../test/sandbox/program.js'

/** Writes dirty pages back and drops the kernel's page, dentry and inode caches. Needs root. */
export async function dropCaches(): Promise<void> {
  await runProgram(['sync'])
  writeFileSync('/proc/sys/vm/drop_caches', '3')
}
