/** How much newer documents are preferred. */
export interface Recency {
  /** After so many days a document's preference is half of what it was. */
  halfLifeDays: number;
  /** What a document of today is worth, as a share of the best score. */
  weight: number;
}

interface Preferable {
  score: number;
  /** The share of the question's phrases and identifiers that the passage holds; null: the question has none. */
  literal: number | null;
  fresh_at: Date;
}

/** What was added to a passage's score, and why. */
export interface Preference {
  lifts: { literal: number; recency: number };
  /** 1 for a document of today, halved with each half-life; null: not asked for. */
  recency: number | null;
}

// A little more than the best has over the worst: what holds all literals stands above all that holds none.
const literalLift = 1.1;
const dayMs = 86_400_000;

/**
 * Lifts passages that hold what the question quotes or names exactly, and, where wished, those of newer documents.
 * Boosts, not filters: nothing is lost.
 * @returns best first; equal ones stay in their order
 */
export function prefer<T extends Preferable>(
  rows: readonly T[],
  recency: Recency | null,
  now: Date,
): (T & Preference)[] {
  const scores = rows.map(({ score }) => score);
  const [best, worst] = [Math.max(...scores), Math.min(...scores)];
  // Scores of a reranker may be negative; equal ones must be told apart by their dates too.
  const unit = Math.max(best - worst, Math.abs(best)) || 1;
  return rows
    .map((row) => {
      const freshness = recency && freshnessOf(row.fresh_at, recency.halfLifeDays, now);
      const lifts = {
        literal: (row.literal ?? 0) * literalLift * unit,
        recency: recency && freshness !== null ? recency.weight * freshness * unit : 0,
      };
      return { ...row, score: row.score + lifts.literal + lifts.recency, lifts, recency: freshness };
    })
    .sort((one, other) => other.score - one.score);
}

function freshnessOf(date: Date, halfLifeDays: number, now: Date): number {
  const days = Math.max(0, now.getTime() - date.getTime()) / dayMs;
  return 2 ** (-days / halfLifeDays);
}
