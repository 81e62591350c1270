import { isDeepStrictEqual } from 'node:util';
import type { Principal } from '../access/principal.js';
import type { Expected, Gate, GateReport, GoldenQuestion, WorseQuestion } from '../knowledge/gate.js';
import { showId } from '../platform/ids.js';
import { allSteps, type Retrieval, type SearchAnswer } from './retrieval.js';
import type { SearchResult } from './search-result.js';
import type { IndexModel } from './target.js';

/** How many results are looked at for what a question must find. */
const depth = 10;
// A report is read by a person.
const mostWorse = 50;

/** One of the two versions, and what is left out when it is asked: `semantic`, `rerank`. */
export interface Side {
  version: number;
  /** What it was embedded with; null: it shows nothing. */
  model: IndexModel | null;
  without: Set<string>;
}

/** What is judged: a candidate, beside the version that answers and that it was built on. */
export interface Trial {
  tenantId: string;
  knowledgeBaseId: string;
  live: Side;
  candidate: Side;
  questions: GoldenQuestion[];
  gate: Gate;
}

/** Parts of search that may be back soon did not take part: what was found without them says nothing about the text. */
export class PartsDown extends Error {
  constructor(readonly parts: readonly string[]) {
    super(`${parts.join(' and ')} did not take part: judged again later`);
  }
}

interface Outcome {
  question: GoldenQuestion;
  before: number | null;
  after: number | null;
  /** Of the document that was found before; undefined: none was. */
  why: WorseQuestion['why'] | undefined;
  first: string | null;
}

/**
 * Asks every question of both versions, one after the other.
 * @throws PartsDown when one of the two could not be asked with all that is not left out
 */
export async function judge(retrieval: Retrieval, trial: Trial, now: Date): Promise<GateReport> {
  const { live, candidate, questions, gate } = trial;
  const outcomes: Outcome[] = [];
  for (const question of questions) outcomes.push(await askBoth(retrieval, trial, question));
  const before = mean(outcomes.map((outcome) => worth(outcome.before)));
  const after = mean(outcomes.map((outcome) => worth(outcome.after)));
  const lost = outcomes.filter((outcome) => outcome.before !== null && outcome.after === null).length;
  const reason = untried(trial) ?? objection(gate, before - after, lost);
  return {
    against: live.version,
    questions: questions.length,
    before,
    after,
    lost,
    degraded: { before: [...live.without].toSorted(), after: [...candidate.without].toSorted() },
    blocked: reason !== null,
    reason,
    worse: outcomes
      .filter((outcome) => worth(outcome.after) < worth(outcome.before))
      .toSorted((a, b) => worth(b.before) - worth(b.after) - (worth(a.before) - worth(a.after)))
      .slice(0, mostWorse)
      .flatMap(({ question: { id, query }, why, ...rest }) =>
        why ? [{ questionId: showId('gq', id), query, why, ...rest }] : [],
      ),
    judgedAt: now.toISOString(),
  };
}

const worth = (rank: number | null): number => (rank === null ? 0 : 1 / rank);

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);

/** New vectors that nobody could ask for anything are what a gate is for: keyword search says nothing of them. */
function untried({ live, candidate }: Trial): string | null {
  if (!candidate.without.has('semantic') || isDeepStrictEqual(candidate.model, live.model)) return null;
  return 'its vectors could not be tried, since their model did not answer';
}

function objection({ maxDrop, maxLost }: Gate, drop: number, lost: number): string | null {
  // Means of many fractions: what is equal must not count as more.
  if (drop > maxDrop + 1e-9) return `found worse by ${drop.toFixed(3)}, and ${maxDrop} is allowed`;
  if (maxLost !== null && lost > maxLost)
    return `${lost} questions lost what they must find, and ${maxLost} are allowed`;
  return null;
}

async function askBoth(retrieval: Retrieval, trial: Trial, question: GoldenQuestion): Promise<Outcome> {
  const before = await ask(retrieval, trial, trial.live, question);
  const documentId = before.results.find((result) => isExpected(result, question.expected))?.document.id;
  const { explanation, ...after } = await ask(retrieval, trial, trial.candidate, question, documentId);
  return {
    question,
    before: rankIn(before, question.expected),
    after: rankIn(after, question.expected),
    why: explanation && { documentId: explanation.documentId, reason: explanation.reason },
    first: after.results[0]?.document.id ?? null,
  };
}

async function ask(
  retrieval: Retrieval,
  { tenantId, knowledgeBaseId }: Trial,
  { version, without }: Side,
  { query, principal }: GoldenQuestion,
  documentId?: string,
): Promise<SearchAnswer> {
  const answer = await retrieval.search(
    judgeOf(tenantId),
    showId('kb', knowledgeBaseId),
    {
      query,
      topK: depth,
      mode: without.has('semantic') ? 'keyword' : 'hybrid',
      rank: { ...allSteps, rerank: !without.has('rerank') },
      version,
      explain: true,
      documentId,
      ...(principal ? { as: principal } : {}),
    },
    { judging: true },
  );
  if (answer.degraded.length > 0) throw new PartsDown(answer.degraded);
  return answer;
}

/** Somebody who may read everything, so as to look with anybody's eyes. */
const judgeOf = (tenantId: string): Principal => ({
  tenantId,
  caller: 'gate',
  subject: null,
  groups: [],
  scopes: new Set(['search', 'documents:read-all', 'versions:look-back']),
  knowledgeBases: null,
  keyId: null,
});

function rankIn({ results }: Pick<SearchAnswer, 'results'>, expected: readonly Expected[]): number | null {
  const at = results.findIndex((result) => isExpected(result, expected));
  return at < 0 ? null : at + 1;
}

function isExpected({ document, text }: SearchResult, expected: readonly Expected[]): boolean {
  return expected.some(
    ({ documentId, externalId, passage }) =>
      documentId === document.id ||
      (externalId !== undefined && externalId === document.externalId) ||
      (passage !== undefined && plain(text).includes(plain(passage))),
  );
}

const plain = (text: string): string => text.normalize('NFKC').toLowerCase().replace(/\s+/gu, ' ').trim();
