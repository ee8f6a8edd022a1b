/**
 * How many broken threads of one kind are replaced. The number is bounded because repeated breaks
 * mean a bug in the program, and a thread that breaks at once would be restarted endlessly.
 */
export const MAX_THREAD_REPLACEMENTS = 16
