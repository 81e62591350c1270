import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { evenly, readLines } from './collection.mjs';
import { compare } from './compare.mjs';
import { mean } from './measures.mjs';
import { chunkingMarks } from './references.mjs';
import { askAll, fillBase } from './service.mjs';
import { alignment, spanScores } from './spans.mjs';

const retrieved = 5;

/**
 * Chroma's chunking evaluation: `corpora/<name>.md` and `questions.jsonl` (question, corpus, references as exact spans).
 * Each corpus is one document, uploaded as plain text: that is what they are, whatever their names say. Each question is
 * asked twice: of its own corpus, and, as Chroma does it, of all corpora at once, where a chunk of another corpus counts
 * as retrieved in vain.
 *
 * @param {{ client: import('../../samples/demo/client.mjs').Client, engine: string }} service
 * @param {string} folder
 * @param {{ modes: string[], limit?: number }} options
 */
export async function evaluateChunking({ client, engine }, folder, { modes, limit }) {
  const corpora = await readCorpora(join(folder, 'corpora'));
  const questions = evenly(await readQuestions(join(folder, 'questions.jsonl'), corpora), limit ?? Infinity);
  const uploads = [...corpora].map(([externalId, content]) => ({ externalId, content, contentType: 'text/plain' }));
  const { base, model, loading } = await fillBase(client, 'chunking', uploads);
  const places = await storedPlaces(client, base, corpora);
  const runs = [];
  for (const scope of ['own corpus', 'all corpora']) {
    for (const mode of modes) {
      const own = scope === 'own corpus';
      const filter = own ? (/** @type {Asked} */ { corpus }) => ({ field: 'externalId', eq: corpus }) : () => undefined;
      const { answers, msEach } = await askAll(client, base, questions, mode, { topK: retrieved, filter });
      const each = questions.map(({ id, corpus, references }, at) => {
        const chunks = answers[at].map(({ document, start, end }) => {
          const place = places.get(document.externalId);
          return { start: place[start], end: place[end], foreign: document.externalId !== corpus };
        });
        return { question: id, corpus, ...spanScores(references, chunks) };
      });
      runs.push({ scope, mode, ...means(each), msEach, byCorpus: byCorpus(each), each });
    }
  }
  return {
    kind: 'chunking',
    collection: 'chunking',
    at: new Date().toISOString(),
    service: { engine, embeddings: model },
    corpus: { documents: corpora.size, characters: [...corpora.values()].reduce((sum, { length }) => sum + length, 0) },
    questions: questions.length,
    loading,
    retrieved,
    runs,
    comparisons: comparisons(runs),
    marks: chunkingMarks,
    goals: limit === undefined ? goalsOf(runs) : [],
  };
}

/** @typedef {{ id: string, text: string, corpus: string, references: import('./spans.mjs').Span[] }} Asked */

/** @param {string} folder @returns {Promise<Map<string, string>>} */
async function readCorpora(folder) {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.md')).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return new Map(names.map((name, at) => [name.replace(/\.md$/, ''), texts[at]]));
}

/** @param {string} path @param {Map<string, string>} corpora @returns {Promise<Asked[]>} */
async function readQuestions(path, corpora) {
  return (await readLines(path)).map((line) => {
    const { id, question, corpus, references } = JSON.parse(line);
    for (const { start, end, text } of references) {
      if (corpora.get(corpus)?.slice(start, end) !== text) throw new Error(`${id}: a reference is not at its offsets`);
    }
    return { id, text: question, corpus, references };
  });
}

/** Where the characters of each stored text stand in its corpus. */
async function storedPlaces(client, base, corpora) {
  const { data } = await client.get(`${base}/documents?limit=100`);
  /** @type {Map<string, Int32Array>} */
  const places = new Map();
  for (const { id, externalId } of data) {
    const { text } = await client.get(`${base}/documents/${id}/content`);
    places.set(externalId, alignment(text, corpora.get(externalId)));
  }
  return places;
}

const measures = /** @type {const} */ (['recall', 'precision', 'iou']);

/** @param {Record<string, any>[]} each @returns {Record<'recall' | 'precision' | 'iou', number>} */
const means = (each) => Object.fromEntries(measures.map((measure) => [measure, mean(each.map((one) => one[measure]))]));

function byCorpus(each) {
  const names = [...new Set(each.map(({ corpus }) => corpus))];
  return names.map((name) => {
    const own = each.filter(({ corpus }) => corpus === name);
    return { corpus: name, questions: own.length, ...means(own) };
  });
}

/** Modes against each other, by recall, within a scope. */
function comparisons(runs) {
  return runs.flatMap((one, at) =>
    runs
      .slice(0, at)
      .filter(({ scope }) => scope === one.scope)
      .map((other) => ({
        scope: one.scope,
        one: one.mode,
        other: other.mode,
        measure: 'recall',
        ...compare(
          one.each.map(({ recall }) => recall),
          other.each.map(({ recall }) => recall),
        ),
      })),
  );
}

function goalsOf(runs) {
  const run = runs.find(({ scope, mode }) => scope === 'own corpus' && mode === 'hybrid');
  if (!run) return [];
  return Object.entries(chunkingMarks.goals).map(([measure, least]) => ({
    goal: `hybrid, own corpus: ${measure} at least ${(100 * least).toFixed(1)} %`,
    least,
    value: run[measure],
    met: run[measure] >= least,
  }));
}
