import { terms } from '../knowledge/terms.js';

/** A piece of a passage that can be quoted: `text` is `passage.slice(start, end)`. */
export interface Sentence {
  start: number;
  end: number;
  text: string;
}

const segmenter = new Intl.Segmenter(undefined, { granularity: 'sentence' });

/** The sentences of a passage; a line of its own (a heading, a row of a table, an item of a list) is one too. */
export function sentences(passage: string): Sentence[] {
  return lines(passage).flatMap(({ start, text }) =>
    [...segmenter.segment(text.replaceAll('\n', ' '))].flatMap(({ segment, index }) => {
      const inner = segment.trim();
      if (inner === '') return [];
      const at = start + index + segment.indexOf(inner);
      return [{ start: at, end: at + inner.length, text: passage.slice(at, at + inner.length) }];
    }),
  );
}

/** Lines, but for those that only wrap a sentence: the next one goes on in lower case, and neither is a row of a table. */
function lines(passage: string): { start: number; text: string }[] {
  const found: { start: number; text: string }[] = [];
  for (const { 0: text, index } of passage.matchAll(/[^\n]+/g)) {
    const last = found.at(-1);
    const wraps =
      last && index === last.start + last.text.length + 1 && /^\p{Ll}/u.test(text) && !/[.!?:;]\s*$/.test(last.text);
    if (wraps && !`${last.text}${text}`.includes(' | ')) last.text += `\n${text}`;
    else found.push({ start: index, text });
  }
  return found;
}

// Words that ask rather than say what about.
const asking = new Set(
  terms(
    'get gets many much tell give show list explain please would like know need want find find out does say says mean means happen happens work works use used could should may let also',
  ),
);

/** The words of a question that an answer has to speak of, each with its weight. */
export type Topic = ReadonlyMap<string, number>;

/** A word with digits or a capital inside the question (a name, a code, a year) weighs half as much again. */
export function topic(question: string): Topic {
  const weights = new Map<string, number>();
  for (const [index, word] of question.split(/\s+/).entries()) {
    for (const term of terms(word)) {
      if (asking.has(term)) continue;
      const telling = /\d/.test(word) || (index > 0 && /\p{Lu}/u.test(word));
      weights.set(term, Math.max(weights.get(term) ?? 0, telling ? 1.5 : 1));
    }
  }
  return weights;
}

/** The share of the topic's weight, 0 to 1, that these texts speak of. */
export function coverage(about: Topic, ...texts: string[]): number {
  const said = new Set(texts.flatMap((text) => terms(text)));
  let held = 0;
  let total = 0;
  for (const [term, weight] of about) {
    total += weight;
    if (said.has(term)) held += weight;
  }
  return total === 0 ? 0 : held / total;
}

/** Codes and part numbers such as E14: a passage that does not hold one speaks of another. */
export const identifiers = (about: Topic): string[] =>
  [...about.keys()].filter((term) => /\d/.test(term) && /\p{L}/u.test(term));
