/** What the kernel says to a notification about something that it does not have. */

/** ENOENT: no such inode or name. ENODEV, ENOTCONN: no mount any more. ENOMEM: no room for pages. */
const EXPECTED: readonly unknown[] = ['ENOENT', 'ENODEV', 'ENOTCONN', 'ENOMEM']

/** Whether a notification was refused for a reason that is no fault of ours. */
export function isExpectedRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && EXPECTED.includes(error.code)
}
