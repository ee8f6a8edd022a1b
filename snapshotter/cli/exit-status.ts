/** The exit statuses of all commands. README.md has the table. */

/** Everything was done, and nothing was found. */
export const EXIT_OK = 0
/** The command did its work, and what it looked for differs, is damaged or is missing. */
export const EXIT_FINDINGS = 1
/** The command line, or what it names, cannot be used as it is. */
export const EXIT_BAD_INPUT = 2
/** A registry, a store or a daemon cannot be reached or does not let us in: try again later. */
export const EXIT_UNREACHABLE = 3
/** The disk, a program or the system failed. */
export const EXIT_FAILED = 4
/** Interrupted: 128 and the number of SIGINT, as a shell has it. */
export const EXIT_INTERRUPTED = 130
