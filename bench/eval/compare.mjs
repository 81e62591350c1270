import { mean } from './measures.mjs';

/**
 * @typedef {object} Comparison of two systems over the same questions
 * @property {number} difference the mean of `one` less that of `other`
 * @property {number} low the 95 % interval of that difference (percentile bootstrap over questions)
 * @property {number} high
 * @property {number} p two-sided, of a paired randomisation test: how often chance alone, which swaps the two systems'
 *   values of a question or does not, makes a difference as large
 * @property {number} wins questions on which `one` is better
 * @property {number} losses
 * @property {number} ties
 */

const least = 1e-9;

/**
 * Compares question by question (Smucker, Allan and Carterette 2007). The same seed gives the same answer.
 *
 * @param {readonly number[]} one
 * @param {readonly number[]} other
 * @param {{ rounds?: number, seed?: number }} [options]
 * @returns {Comparison}
 */
export function compare(one, other, { rounds = 10_000, seed = 1 } = {}) {
  if (one.length !== other.length) throw new RangeError('a paired comparison needs the same questions on both sides');
  const differences = one.map((value, at) => value - (other[at] ?? 0));
  const difference = mean(differences);
  const random = seeded(seed);
  const resampled = [];
  let asLarge = 0;
  for (let round = 0; round < rounds; round++) {
    let swapped = 0;
    let drawn = 0;
    for (let at = 0; at < differences.length; at++) {
      swapped += random() < 0.5 ? differences[at] : -differences[at];
      drawn += differences[Math.floor(random() * differences.length)];
    }
    if (Math.abs(swapped) / differences.length >= Math.abs(difference) - least) asLarge++;
    resampled.push(drawn / differences.length);
  }
  resampled.sort((a, b) => a - b);
  return {
    difference,
    low: resampled[Math.floor(rounds * 0.025)] ?? 0,
    high: resampled[Math.ceil(rounds * 0.975) - 1] ?? 0,
    p: (asLarge + 1) / (rounds + 1),
    wins: differences.filter((value) => value > least).length,
    losses: differences.filter((value) => value < -least).length,
    ties: differences.filter((value) => Math.abs(value) <= least).length,
  };
}

/** Numbers in [0, 1) that a seed decides (mulberry32). @param {number} seed */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
