import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readLines } from '../eval/collection.mjs';
import { seeded } from '../eval/compare.mjs';

const folder = fileURLToPath(new URL('../../../shared/data/retrieval', import.meta.url));
const paragraphs = 50;
const paragraphChars = 850;

/**
 * Who may see a document follows from its number: everything is restricted, and these groups see these shares of it.
 * @type {{ group: string, share: number, sees: (number: number) => boolean }[]}
 */
export const groups = [
  { group: 'half', share: 0.5, sees: (number) => number % 2 === 0 },
  { group: 'tenth', share: 0.1, sees: (number) => number % 10 === 1 },
  { group: 'hundredth', share: 0.01, sees: (number) => number % 100 === 3 },
  { group: 'thousandth', share: 0.001, sees: (number) => number % 1000 === 7 },
];

/**
 * Documents of any number from the sentences of real ones, so that words are as frequent as they are in real text, and
 * real questions to ask. The same number always gives the same document.
 */
export async function openCorpus() {
  const collections = (await readdir(folder)).toSorted();
  const read = async (/** @type {string} */ file) =>
    (await Promise.all(collections.map((name) => readLines(join(folder, name, file)))))
      .flat()
      .map((line) => JSON.parse(line));
  const documents = await read('corpus.jsonl');
  const sentences = documents
    .flatMap(({ text }) => text.split(/(?<=[.?!])\s+/))
    .filter(({ length }) => length > 40 && length < 400);
  const titles = documents.map(({ title }) => title).filter(Boolean);
  const questions = (await read('queries.jsonl')).map(({ text }) => text);
  return { questions, document: (/** @type {number} */ number) => made(number, sentences, titles) };
}

/** @param {number} number @param {string[]} sentences @param {string[]} titles */
function made(number, sentences, titles) {
  const random = seeded(number + 1);
  const pick = (/** @type {string[]} */ list) => list[Math.floor(random() * list.length)];
  const paragraph = () => {
    let text = pick(sentences);
    while (text.length < paragraphChars) text += ` ${pick(sentences)}`;
    return text.slice(0, paragraphChars + 100);
  };
  const allow = groups.filter(({ sees }) => sees(number)).map(({ group }) => `group:${group}`);
  return {
    externalId: String(number),
    title: pick(titles).slice(0, 200),
    content: Array.from({ length: paragraphs }, paragraph).join('\n\n'),
    contentType: 'text/plain',
    // Somebody has to be named, or the document would be nobody's.
    access: { visibility: 'restricted', allow: allow.length > 0 ? allow : ['group:nobody'] },
  };
}
