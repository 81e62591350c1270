import { quantile } from '../load.mjs';
import { readCollection } from './collection.mjs';
import { compare } from './compare.mjs';
import { mean, ndcg, recall, reciprocalRank } from './measures.mjs';
import { plainBm25 } from './plain-bm25.mjs';
import { neverBelow, rankingMarks } from './references.mjs';
import { askAll, fillBase } from './service.mjs';

const depth = 100;

/**
 * @typedef {object} System what ranked: a mode of the service, or a reference that ran in this process
 * @property {string} name
 * @property {Map<string, string[]>} rankings by question, the ids of documents, best first
 * @property {number} [msEach]
 */

/**
 * Ranks the documents of a collection through the service, once a mode, and beside it with plain BM25 in memory; scores
 * all of them by every convention the collection knows.
 *
 * @param {{ client: import('../../samples/demo/client.mjs').Client, engine: string }} service
 * @param {string} folder
 * @param {{ modes: string[], limit?: number, base?: string }} options `base`: one that holds the collection already
 */
export async function evaluateRanking({ client, engine }, folder, { modes, limit, base: given }) {
  const collection = await readCollection(folder, limit);
  const { documents, questions } = collection;
  const uploads = documents.map(({ id, title, text }) => ({
    externalId: id,
    ...(title.trim() === '' ? {} : { title: title.trim().slice(0, 500) }),
    content: text,
    contentType: 'text/plain',
  }));
  const filled = given
    ? { base: `/v1/knowledge-bases/${given}`, model: null, loading: null }
    : await fillBase(client, collection.name, uploads);
  /** @type {System[]} */
  const systems = [inMemory(collection)];
  let degraded = 0;
  for (const mode of modes) {
    const asked = await askAll(client, filled.base, questions, mode, { topK: depth });
    const rankings = new Map(questions.map(({ id }, at) => [id, byDocument(asked.answers[at])]));
    systems.push({ name: mode, rankings, msEach: asked.msEach });
    degraded += asked.degraded;
  }
  const scorings = collection.conventions.map((convention) => score(convention, collection, systems));
  return {
    kind: 'ranking',
    collection: collection.name,
    at: new Date().toISOString(),
    service: { engine, embeddings: filled.model },
    corpus: { documents: documents.length, withoutText: collection.empty },
    questions: questions.length,
    loading: filled.loading,
    degraded,
    scorings,
    marks: rankingMarks[collection.name] ?? { published: [], goals: [] },
    goals: goalsOf(collection.name, scorings[0], limit !== undefined),
  };
}

/** @param {import('./collection.mjs').Collection} collection @returns {System} */
function inMemory({ documents, questions }) {
  const rank = plainBm25(documents);
  return { name: 'plain BM25', rankings: new Map(questions.map(({ id, text }) => [id, rank(text, depth)])) };
}

/**
 * A document stands where its best passage does.
 *
 * @param {{ document: { externalId: string } }[]} results
 */
export const byDocument = (results) => [...new Set(results.map(({ document }) => document.externalId))];

/**
 * @param {import('./collection.mjs').Convention} convention
 * @param {import('./collection.mjs').Collection} collection
 * @param {System[]} systems
 */
function score({ name, removed }, { questions }, systems) {
  const scored = systems.map((system) => {
    const each = questions.map(({ id, gains }) => {
      const without = removed.get(id);
      const ranking = (system.rankings.get(id) ?? []).filter((document) => !without?.has(document));
      return {
        question: id,
        ndcg10: ndcg(ranking, gains, 10),
        recall100: recall(ranking, gains, depth),
        mrr10: reciprocalRank(ranking, gains, 10),
      };
    });
    return {
      system: system.name,
      ndcg10: mean(each.map(({ ndcg10 }) => ndcg10)),
      recall100: mean(each.map(({ recall100 }) => recall100)),
      mrr10: mean(each.map(({ mrr10 }) => mrr10)),
      documentsRanked: quantile(
        [...system.rankings.values()].map(({ length }) => length),
        0.5,
      ),
      msEach: system.msEach ?? null,
      each,
    };
  });
  return { convention: name, systems: scored, comparisons: comparisons(scored) };
}

/** Each system with each that comes before it. @param {ReturnType<typeof score>['systems']} systems */
function comparisons(systems) {
  return systems.flatMap((one, at) =>
    systems.slice(0, at).map((other) => ({
      one: one.system,
      other: other.system,
      measure: 'ndcg10',
      ...compare(
        one.each.map(({ ndcg10 }) => ndcg10),
        other.each.map(({ ndcg10 }) => ndcg10),
      ),
    })),
  );
}

/**
 * Whether the goals are met; by part of the questions nothing is said.
 *
 * @param {string} name
 * @param {ReturnType<typeof score>} scoring
 * @param {boolean} partial
 */
function goalsOf(name, scoring, partial) {
  if (partial) return [];
  const valueOf = (/** @type {string} */ system) => scoring.systems.find((one) => one.system === system)?.ndcg10;
  const fixed = (rankingMarks[name]?.goals ?? []).map(({ mode, least }) => ({
    goal: `${mode}: nDCG@10 at least ${least}`,
    least,
    value: valueOf(mode),
  }));
  const relative = neverBelow.map(({ one, other, by }) => ({
    goal: `${one} not below ${other}${by ? ` by more than ${by}` : ''}`,
    least: (valueOf(other) ?? 0) - by,
    value: valueOf(one),
  }));
  return [...fixed, ...relative]
    .filter(({ value }) => value !== undefined)
    .map((goal) => ({ ...goal, met: (goal.value ?? 0) >= goal.least }));
}
