import pgvector from 'pgvector';
import { rulesOf } from './languages.js';

/** A sparse vector's size: terms are hashed into this many places, of which a chunk uses a few hundred. */
export const termSpace = 1_000_000_000;

// Scripts written without spaces between words: pairs of neighbouring characters serve as terms.
const unspacedScripts = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar']
  .map((name) => `\\p{Script=${name}}`)
  .join('');
const unspaced = new RegExp(`[${unspacedScripts}]`, 'u');
// Plain words first: nearly all of an English text are, and so it is cut in two thirds of the time.
const runs = new RegExp(
  `[a-zA-Z0-9]+(?![a-zA-Z0-9\\u0080-\\u{10ffff}])|[${unspacedScripts}\\p{M}]+|(?:(?![${unspacedScripts}])[\\p{L}\\p{N}\\p{M}])+`,
  'gu',
);

/**
 * The terms of a text, in order, repeated as often as they occur: NFKC, lower case, stop words dropped, words stemmed by
 * the rules of their language ({@link rulesOf}), pairs of characters for what is written without spaces. Documents go
 * through this function, questions through the same steps; nothing else decides what matches.
 * @param language an ISO 639-1 code; null: unknown, read as English
 */
export function terms(text: string, language: string | null = null): string[] {
  const rules = rulesOf(language);
  const found: string[] = [];
  for (const word of words(rules.lower(text.normalize('NFKC')))) {
    const term = rules.term(word);
    if (term !== null) found.push(term);
  }
  return found;
}

/** The words of a text in NFKC, without a possessive s; pairs of characters where words are not spaced. */
export function words(text: string): string[] {
  const found = text.replaceAll(/['’]s\b/gi, '').match(runs) ?? [];
  return unspaced.test(text) ? found.flatMap((run) => (unspaced.test(run) ? pairs(run) : [run])) : found;
}

function pairs(run: string): string[] {
  const characters = [...run];
  if (characters.length === 1) return characters;
  return characters.slice(1).map((character, index) => `${characters[index]}${character}`);
}

/** How often each term occurs. */
export function frequencies(found: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const term of found) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

/** Term frequencies as pgvector's `sparsevec` literal of {@link termSpace} places. */
export function termVector(counts: ReadonlyMap<string, number>): string {
  const places = new Map<number, number>();
  for (const [term, count] of counts) places.set(place(term), (places.get(place(term)) ?? 0) + count);
  return pgvector.toSql(new pgvector.SparseVector(new Map([...places].sort(([a], [b]) => a - b)), termSpace));
}

/** The place of a term in a term vector, counted from 1 as pgvector writes it. */
export const placeOf = (term: string): number => place(term) + 1;

/** FNV-1a over UTF-16 units, 32 bits; two of 100,000 distinct terms meet in one place about five times. */
function place(term: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < term.length; index++) hash = Math.imul(hash ^ term.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % termSpace;
}
