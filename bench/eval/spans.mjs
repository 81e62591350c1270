// Chroma's chunking evaluation, its definitions: how much of the reference spans the retrieved chunks cover, and how much
// they hold beside. A span is [start, end) in characters of the corpus.

/** @typedef {{ start: number, end: number }} Span */

/** @param {readonly Span[]} spans */
const total = (spans) => spans.reduce((sum, { start, end }) => sum + (end - start), 0);

/** Sorted, overlapping ones joined. @param {readonly Span[]} spans */
export function union(spans) {
  /** @type {Span[]} */
  const joined = [];
  for (const { start, end } of spans.toSorted((one, other) => one.start - other.start)) {
    const last = joined.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}

/** @param {Span} one @param {Span} other @returns {Span[]} nothing, or what both hold */
function overlap(one, other) {
  const start = Math.max(one.start, other.start);
  const end = Math.min(one.end, other.end);
  return start < end ? [{ start, end }] : [];
}

/**
 * Recall: the share of the references that is covered. Precision: the same by what was retrieved, in which chunks that
 * overlap count each. IoU: the same by what was retrieved and what of the references was missed.
 *
 * @param {readonly Span[]} references
 * @param {readonly (Span & { foreign?: boolean })[]} retrieved `foreign`: of another corpus, where no reference stands
 */
export function spanScores(references, retrieved) {
  const own = retrieved.filter(({ foreign }) => !foreign);
  const parts = references.map((reference) => union(own.flatMap((chunk) => overlap(chunk, reference))));
  const covered = total(union(parts.flat()));
  const wanted = total(references);
  const taken = total(retrieved);
  const missed = references.reduce((sum, reference, at) => sum + total([reference]) - total(parts[at]), 0);
  return {
    recall: wanted === 0 ? 0 : covered / wanted,
    precision: taken === 0 ? 0 : covered / taken,
    iou: taken + missed === 0 ? 0 : covered / (taken + missed),
  };
}

/**
 * Where each character of the stored text stands in the corpus it was read from. Reading may drop and replace white space
 * and leave out marks that nobody sees, and nothing else.
 *
 * @param {string} stored
 * @param {string} corpus
 * @returns {Int32Array} by offset of `stored`, and one more for its end
 * @throws when `stored` says what the corpus does not
 */
export function alignment(stored, corpus) {
  const places = new Int32Array(stored.length + 1);
  let at = 0;
  for (let offset = 0; offset < stored.length; offset++) {
    const character = stored[offset];
    if (/\s/.test(character)) {
      places[offset] = at;
      continue;
    }
    const found = corpus.indexOf(character, at);
    if (found < 0 || found - at > 200)
      throw new Error(`the stored text leaves the corpus at ${offset}: "${stored.slice(offset, offset + 40)}"`);
    places[offset] = found;
    at = found + 1;
  }
  places[stored.length] = at;
  return places;
}
