import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

/**
 * @typedef {{ id: string, title: string, text: string }} CorpusDocument
 * @typedef {{ id: string, text: string, gains: Map<string, number> }} Question with what its judges found each document worth
 * @typedef {object} Convention a way to score a ranking
 * @property {string} name
 * @property {ReadonlyMap<string, ReadonlySet<string>>} removed documents that are taken from a question's ranking first
 * @typedef {object} Collection
 * @property {string} name
 * @property {CorpusDocument[]} documents those with any text
 * @property {string[]} empty the ids of the others, which a service rightly refuses
 * @property {Question[]} questions those with a relevant document
 * @property {Convention[]} conventions the first is the one that goals speak of
 */

/**
 * Reads a folder in BEIR layout: `corpus.jsonl` (_id, title, text), `queries.jsonl` (_id, text), and the judgements in
 * `qrels.tsv` or `qrels/test.tsv` (question, document, grade; a grade of 0 is "not relevant").
 *
 * @param {string} folder
 * @param {number} [limit] only so many questions, evenly chosen
 * @returns {Promise<Collection>}
 */
export async function readCollection(folder, limit = Infinity) {
  const judged = existsSync(join(folder, 'qrels.tsv')) ? 'qrels.tsv' : join('qrels', 'test.tsv');
  const corpus = (await readLines(join(folder, 'corpus.jsonl'))).map((line) => JSON.parse(line));
  const documents = corpus.map(({ _id, title, text }) => ({ id: String(_id), title: title ?? '', text: text ?? '' }));
  const gains = pairs(await readLines(join(folder, judged)));
  const questions = (await readLines(join(folder, 'queries.jsonl')))
    .map((line) => JSON.parse(line))
    .map(({ _id, text }) => ({ id: String(_id), text, gains: gains.get(String(_id)) ?? new Map() }))
    .filter((question) => [...question.gains.values()].some((gain) => gain > 0));
  return {
    name: basename(resolve(folder)),
    documents: documents.filter(hasText),
    empty: documents.filter((document) => !hasText(document)).map(({ id }) => id),
    questions: evenly(questions, limit),
    conventions: await conventions(folder),
  };
}

/** @param {CorpusDocument} document */
const hasText = ({ text }) => text.trim() !== '';

/**
 * Cranfield was made by asking authors about their own papers: each question has one source, which they marked with code
 * -1. What is done with it moves nDCG@10 by six points, so it has to be said.
 *
 * @param {string} folder
 * @returns {Promise<Convention[]>}
 */
async function conventions(folder) {
  const path = join(folder, 'source_docs.tsv');
  if (!existsSync(path)) return [{ name: 'judgements as in qrels', removed: new Map() }];
  const sources = pairs(await readLines(path));
  return [
    { name: 'code -1 dropped: a question’s source stays in the ranking and is not relevant', removed: new Map() },
    {
      name: 'code -1 dropped, and the sources (source_docs.tsv) taken from the rankings before scoring',
      removed: new Map([...sources].map(([question, documents]) => [question, new Set(documents.keys())])),
    },
  ];
}

/** @param {string} path @returns {Promise<string[]>} */
export async function readLines(path) {
  return (await readFile(path, 'utf8')).split(/\r?\n/).filter((line) => line.trim() !== '');
}

/** @param {string[]} lines question, document and grade (absent: 1) with tabs between, and perhaps a heading */
function pairs(lines) {
  /** @type {Map<string, Map<string, number>>} */
  const all = new Map();
  for (const line of lines) {
    const [question = '', document = '', grade = '1'] = line.split('\t');
    if (question === 'query-id' || document === '') continue;
    const own = all.get(question) ?? new Map();
    all.set(question, own.set(document, Number(grade)));
  }
  return all;
}

/** @template T @param {T[]} list @param {number} count @returns {T[]} */
export const evenly = (list, count) =>
  list.length <= count ? list : Array.from({ length: count }, (_, at) => list[Math.floor((at * list.length) / count)]);
