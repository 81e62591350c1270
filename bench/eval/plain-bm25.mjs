import { terms } from '../../dist/knowledge/terms.js';

const k1 = 1.2;
const b = 0.75;

/**
 * Plain BM25 over whole documents, in memory: the mark that no collection may fall below. It shares the service's terms
 * and nothing else. The title counts as text, once: where the text begins with it, as Cranfield's does, it is not added.
 * Query term frequency is kept.
 *
 * @param {{ id: string, title: string, text: string }[]} documents
 * @returns {(question: string, depth: number) => string[]} the ids of the best, best first; equal ones in corpus order
 */
export function plainBm25(documents) {
  /** @type {Map<string, [document: number, count: number][]>} */
  const postings = new Map();
  const lengths = documents.map(({ title, text }, number) => {
    const found = terms(text.startsWith(title) ? text : `${title}\n${text}`);
    for (const [term, count] of counted(found)) {
      const list = postings.get(term);
      if (list) list.push([number, count]);
      else postings.set(term, [[number, count]]);
    }
    return found.length;
  });
  const mean = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length) || 1;
  return (question, depth) => {
    const scores = new Float64Array(documents.length);
    for (const [term, asked] of counted(terms(question))) {
      const list = postings.get(term) ?? [];
      const idf = Math.log(1 + (documents.length - list.length + 0.5) / (list.length + 0.5));
      for (const [number, count] of list) {
        const norm = k1 * (1 - b + (b * lengths[number]) / mean);
        scores[number] += (asked * idf * count * (k1 + 1)) / (count + norm);
      }
    }
    return [...scores.keys()]
      .filter((number) => scores[number] > 0)
      .sort((one, other) => scores[other] - scores[one] || one - other)
      .slice(0, depth)
      .map((number) => documents[number].id);
  };
}

/** @param {readonly string[]} found */
function counted(found) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const term of found) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}
