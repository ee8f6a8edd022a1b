/** The exit statuses of all commands. README.md has the table. */

/** The command did its work. A command that looks for problems found none. */
export const EXIT_OK = 0
/** The command did its work and found something that differs, is damaged or is missing. */
export const EXIT_FINDINGS = 1
/** The command line, or a file or image that it names, cannot be used. */
export const EXIT_BAD_INPUT = 2
/** A registry, a store or a daemon cannot be reached or refuses access. A later try may succeed. */
export const EXIT_UNREACHABLE = 3
/** The disk, a program or the system failed. */
export const EXIT_FAILED = 4
/** The command was interrupted. As in shells: 128 plus the number of SIGINT, which is 2. */
export const EXIT_INTERRUPTED = 130
