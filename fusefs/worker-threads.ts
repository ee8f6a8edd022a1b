/**
 * How often a kind of thread is replaced when one breaks. Not for ever: something is wrong with the
 * program then, and a thread that breaks at once would be started again and again.
 */
export const MAX_THREAD_REPLACEMENTS = 16
