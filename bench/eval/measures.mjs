// Measures of a ranking against judgements: a ranking is a list of ids, best first; gains are what each judged id is worth.

/**
 * Normalised discounted cumulated gain, as trec_eval's `ndcg_cut`: the gain is the grade itself, divided by log2 of one
 * more than its rank, and normalised by the best order there could be of everything that was judged.
 *
 * @param {string[]} ranking
 * @param {ReadonlyMap<string, number>} gains
 * @param {number} depth
 */
export function ndcg(ranking, gains, depth) {
  const dcg = discounted(ranking.slice(0, depth).map((id) => gains.get(id) ?? 0));
  const ideal = discounted([...gains.values()].sort((one, other) => other - one).slice(0, depth));
  return ideal === 0 ? 0 : dcg / ideal;
}

/** @param {number[]} gains by rank */
const discounted = (gains) => gains.reduce((sum, gain, at) => sum + Math.max(0, gain) / Math.log2(at + 2), 0);

/**
 * The share of what is relevant (a gain above 0) that stands among the first `depth`.
 *
 * @param {string[]} ranking
 * @param {ReadonlyMap<string, number>} gains
 * @param {number} depth
 */
export function recall(ranking, gains, depth) {
  const relevant = [...gains].filter(([, gain]) => gain > 0).map(([id]) => id);
  const first = new Set(ranking.slice(0, depth));
  return relevant.length === 0 ? 0 : relevant.filter((id) => first.has(id)).length / relevant.length;
}

/**
 * One by the rank of the first relevant one; 0 when none stands among the first `depth`.
 *
 * @param {string[]} ranking
 * @param {ReadonlyMap<string, number>} gains
 * @param {number} depth
 */
export function reciprocalRank(ranking, gains, depth) {
  const at = ranking.slice(0, depth).findIndex((id) => (gains.get(id) ?? 0) > 0);
  return at < 0 ? 0 : 1 / (at + 1);
}

/** @param {readonly number[]} values */
export const mean = (values) =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
