import { wordHashes } from './characters.js';

// Two texts are near-duplicates when this much of their runs of three words is the same: a word changed in 25 is, a
// sentence added to three is not.
const threshold = 0.75;
const shingleWords = 3;
// Further down hardly anything is shown, and each text costs a comparison with all before it.
const looked = 50;

/** What is kept, and the near-duplicates that were left out in favour of each of them. */
export interface Unrepeated<T> {
  rows: T[];
  duplicates: ReadonlyMap<T, T[]>;
}

/**
 * Leaves out passages that say again, nearly word for word, what a better one says. Texts with other figures in them are
 * never taken for the same: a price list and last year's differ in nothing else.
 * @param rows best first; only the first 50 are compared
 */
export function withoutNearDuplicates<T extends { text: string }>(rows: readonly T[]): Unrepeated<T> {
  const duplicates = new Map<T, T[]>();
  // Texts with other figures need not be compared at all, which is most of them.
  const kept = new Map<string, { row: T; shingles: Uint32Array | null }[]>();
  const unrepeated = rows.slice(0, looked).filter((row) => {
    const figures = row.text.match(/\p{N}+/gu)?.join(' ') ?? '';
    const rivals = kept.get(figures) ?? [];
    kept.set(figures, rivals);
    let own: Uint32Array | null = null;
    for (const rival of rivals) {
      if (!similarLength(row.text, rival.row.text)) continue;
      own ??= shinglesOf(row.text);
      rival.shingles ??= shinglesOf(rival.row.text);
      if (!resemble(own, rival.shingles)) continue;
      duplicates.set(rival.row, [...(duplicates.get(rival.row) ?? []), row]);
      return false;
    }
    rivals.push({ row, shingles: own });
    return true;
  });
  return { rows: [...unrepeated, ...rows.slice(looked)], duplicates };
}

/** Whether two texts could be as alike as is asked for; words are not all of one length, hence the margin. */
const similarLength = (one: string, other: string): boolean =>
  Math.min(one.length, other.length) >= 0.7 * Math.max(one.length, other.length);

/** Whether the share of what both have in all they have (Jaccard) reaches the threshold: given up once it cannot. */
function resemble(one: Uint32Array, other: Uint32Array): boolean {
  const [small, large] = one.length < other.length ? [one, other] : [other, one];
  const wanted = (threshold * (small.length + large.length)) / (1 + threshold);
  let possible = small.length;
  let place = 0;
  for (const shingle of small) {
    if (possible < wanted) return false;
    while (place < large.length && (large[place] ?? 0) < shingle) place += 1;
    if (large[place] !== shingle) possible -= 1;
  }
  return possible >= wanted;
}

/** Hashes of every three words in a row, of a shorter text of all its words: in rising order, each once. */
function shinglesOf(text: string): Uint32Array {
  const words = wordHashes(text);
  const length = Math.min(shingleWords, words.length);
  const shingles = new Uint32Array(words.length - length + 1);
  for (let at = 0; at < shingles.length; at++) {
    let run = 0;
    for (let place = at; place < at + length; place++) run = Math.imul(run, 31) + (words[place] ?? 0);
    shingles[at] = run;
  }
  shingles.sort();
  let kept = 0;
  for (const shingle of shingles) if (kept === 0 || shingles[kept - 1] !== shingle) shingles[kept++] = shingle;
  return shingles.subarray(0, kept);
}
