/** A list in which no document takes more than its share. */
export interface Shared<T> {
  rows: T[];
  /** By document, how many of its passages would have stood in the list without the limit. */
  heldBack: ReadonlyMap<string, number>;
}

const matchShare = 0.6;

/**
 * The best `topK`, of which at most `most` are of one document, unless fewer documents match: then those that do share
 * the list evenly. What was held back fills the list where nothing else is left.
 * @param ranked best first
 * @param most 0: any number
 */
export function limitPerDocument<T extends { document_id: string; score: number }>(
  ranked: readonly T[],
  most: number,
  topK: number,
): Shared<T> {
  const unlimited = ranked.slice(0, topK);
  if (most === 0) return { rows: unlimited, heldBack: new Map() };
  const each = Math.max(most, Math.ceil(topK / matching(ranked)));
  const taken = new Map<string, number>();
  const within = ranked.filter(({ document_id }) => {
    const count = (taken.get(document_id) ?? 0) + 1;
    taken.set(document_id, count);
    return count <= each;
  });
  const chosen = new Set(within.slice(0, topK));
  for (const row of ranked) if (chosen.size < topK) chosen.add(row);
  const heldBack = new Map<string, number>();
  for (const row of unlimited) {
    if (!chosen.has(row)) heldBack.set(row.document_id, (heldBack.get(row.document_id) ?? 0) + 1);
  }
  return { rows: ranked.filter((row) => chosen.has(row)), heldBack };
}

/** How many documents have a passage that comes near the best one, on the way from the worst candidate (0) to it (1). */
function matching(ranked: readonly { document_id: string; score: number }[]): number {
  const [best, worst] = [ranked[0]?.score ?? 0, ranked.at(-1)?.score ?? 0];
  const least = worst + matchShare * (best - worst);
  return new Set(ranked.filter(({ score }) => score >= least).map(({ document_id }) => document_id)).size || 1;
}
