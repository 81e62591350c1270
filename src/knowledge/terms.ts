import pgvector from 'pgvector';
import snowball from 'snowball-stemmers';

/** A sparse vector's size: terms are hashed into this many places, of which a chunk uses a few hundred. */
export const termSpace = 1_000_000_000;

// The Snowball project's English stop list, which is also PostgreSQL's.
const stopWords = new Set(
  (
    'i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its ' +
    'itself they them their theirs themselves what which who whom this that these those am is are was were be been being have ' +
    'has had having do does did doing a an the and but if or because as until while of at by for with about against between ' +
    'into through during before after above below to from up down in out on off over under again further then once here there ' +
    'when where why how all any both each few more most other some such no nor not only own same so than too very s t can will ' +
    'just don should now'
  ).split(' '),
);

// Scripts written without spaces between words: pairs of neighbouring characters serve as terms.
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;
const runs =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{M}]+|(?:(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}])[\p{L}\p{N}\p{M}])+/gu;

/**
 * The terms of a text, in order, repeated as often as they occur: NFKC, lower case, English stop words dropped, English
 * words stemmed (Snowball's own English stemmer, as PostgreSQL has it), pairs of characters for Chinese, Japanese and Thai. Documents and questions go through the
 * same function, and nothing else decides what matches.
 */
export function terms(text: string): string[] {
  const found: string[] = [];
  for (const [run] of text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/['’]s\b/g, '')
    .matchAll(runs)) {
    if (unspaced.test(run)) found.push(...pairs(run));
    else if (!stopWords.has(run)) found.push(/^[a-z]+$/.test(run) ? stem(run) : run);
  }
  return found;
}

const english = snowball.newStemmer('english');

// Stemming a word takes 9 microseconds, looking it up a tenth of that, and most words of a text are the same few thousand.
const stems = new Map<string, string>();
const mostStems = 100_000;

function stem(word: string): string {
  let found = stems.get(word);
  if (found === undefined) {
    if (stems.size >= mostStems) stems.clear();
    stems.set(word, (found = english.stem(word)));
  }
  return found;
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
