/**
 * Returns a generator of pseudo-random numbers from 0 to below 1, the same for the same seed
 * (Marsaglia's xorshift32).
 */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 32
  }
}

/** Returns the things in random order. All orders are equally likely (Fisher and Yates). */
export function shuffled<T>(things: readonly T[], random: () => number): T[] {
  const left = [...things]
  const order: T[] = []
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1))
  return order
}
