/** A list in which no document takes more than its share. */
export interface Shared<T> {
  rows: T[];
  /** By document, how many of its passages would have stood in the list without the limit. */
  heldBack: ReadonlyMap<string, number>;
}

// A document matches when its title and metadata fit the question at least half as well as those of the best (a question
// that names its document means no other), and one of its passages holds at least half as much of it as any does (other
// documents may match only feebly). Measured on filings, the right page among the first ten: 63.6 % of questions without a
// limit, 51.5 % when every document counts that has a passage among the candidates, 60.6 % so, and anywhere from .3 to .9
// of the first with 0 to .7 of the second; right filing 97.0 % throughout.
const matchingContext = 0.5;
const matchingCoverage = 0.5;

interface Matched {
  document_id: string;
  /** What the lexical leg found of it; null: nothing. */
  lexical: { context: number; coverage: number } | null;
}

/**
 * The best `topK`, of which at most `most` are of one document, unless fewer documents match: then those that do share
 * the list evenly. What was held back fills the list where nothing else is left.
 * @param ranked best first
 * @param most 0: any number
 */
export function limitPerDocument<T extends Matched>(ranked: readonly T[], most: number, topK: number): Shared<T> {
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

/** How many documents match. Where the lexical leg found nothing, all of them do. */
function matching(ranked: readonly Matched[]): number {
  const most = (what: 'context' | 'coverage') => Math.max(0, ...ranked.map(({ lexical }) => lexical?.[what] ?? 0));
  const context = matchingContext * most('context');
  const coverage = matchingCoverage * most('coverage');
  const matched = ranked.filter(
    ({ lexical }) => (lexical?.context ?? 0) >= context && (lexical?.coverage ?? 0) >= coverage,
  );
  return new Set(matched.map(({ document_id: id }) => id)).size || 1;
}
