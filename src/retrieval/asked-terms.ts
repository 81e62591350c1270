import { rulesOf, type WordRules } from '../knowledge/languages.js';
import type { TermPostings } from '../knowledge/posting-format.js';
import { words } from '../knowledge/terms.js';

// A question longer than this is cut: each term costs a lookup a segment.
const maxTerms = 32;

// A question with so many more stop words of one language than of any other is in that language: one alone may be a word of
// another (war, die, was).
const tellingStopWords = 2;

// Each word is stemmed once a language: of a longer question to an index in several, no more than this is read.
const mostWords = 128;

/** A word of a question: what it is indexed as in each language of the index. Ranking takes them for one term. */
export interface AskedTerm {
  variants: string[];
  /** How often the question holds it. */
  count: number;
}

/**
 * What a question asks for, whatever language the documents are in: of each word, its distinct terms under the rules of
 * every language of the index. Where all documents are English, exactly its terms.
 * @param languages ISO 639-1 codes
 * @returns in the order of the question, each once
 */
export function askedTerms(question: string, languages: readonly string[]): AskedTerm[] {
  const rules = [...new Set((languages.length === 0 ? ['en'] : languages).map(rulesOf))];
  const asked = words(question.normalize('NFKC'));
  const spoken = spokenIn(asked, rules);
  const classes = new Map<string, AskedTerm>();
  for (const word of rules.length === 1 ? asked : asked.slice(0, mostWords)) {
    if (spoken?.stops(spoken.lower(word))) continue;
    const variants = [...new Set(rules.flatMap((each) => each.term(each.lower(word)) ?? []))];
    if (variants.length === 0) continue;
    const key = variants.join(' ');
    const known = classes.get(key);
    if (known) known.count += 1;
    else classes.set(key, { variants, count: 1 });
  }
  return [...classes.values()].slice(0, maxTerms);
}

/** The one language whose stop words a question holds most of; null: it may be in any. */
function spokenIn(asked: string[], rules: WordRules[]): WordRules | null {
  const counted = rules.map((each) => ({
    each,
    count: asked.filter((word) => each.stops(each.lower(word))).length,
  }));
  const [first, second] = counted.sort((one, other) => other.count - one.count);
  return first && first.count - (second?.count ?? 0) >= tellingStopWords ? first.each : null;
}

/**
 * One list for each class: every chunk that holds any of its variants, with how often it holds them together.
 * @param postings of all variants of all classes, in order
 * @param sizes how many variants each class has
 */
export function unite(postings: (TermPostings | undefined)[], sizes: number[]): (TermPostings | undefined)[] {
  let next = 0;
  return sizes.map((size) => {
    const own = postings.slice(next, (next += size)).filter((each) => each !== undefined);
    return own.length === 0 ? undefined : own.reduce(merge);
  });
}

/** Two lists by rising chunk number, as one. */
function merge(one: TermPostings, other: TermPostings): TermPostings {
  const numbers = new Int32Array(one.numbers.length + other.numbers.length);
  const counts = new Uint8Array(numbers.length);
  let size = 0;
  for (let left = 0, right = 0; left < one.numbers.length || right < other.numbers.length; size++) {
    const [mine, its] = [one.numbers[left] ?? Infinity, other.numbers[right] ?? Infinity];
    numbers[size] = Math.min(mine, its);
    let count = 0;
    if (mine <= its) count += one.counts[left++] ?? 0;
    if (its <= mine) count += other.counts[right++] ?? 0;
    counts[size] = Math.min(count, 255);
  }
  return { numbers: numbers.subarray(0, size), counts: counts.subarray(0, size) };
}
