import type { Principal } from '../access/principal.js';
import type { Expected, Gate, GateReport, GoldenQuestion, WorseQuestion } from '../knowledge/gate.js';
import { showId } from '../platform/ids.js';
import type { Retrieval, SearchAnswer } from './retrieval.js';
import type { SearchResult } from './search-result.js';

/** How many results are looked at for what a question must find. */
const depth = 10;
// A report is read by a person.
const mostWorse = 50;

/** What is judged: a candidate, beside the version that answers. */
export interface Trial {
  tenantId: string;
  knowledgeBaseId: string;
  candidate: number;
  active: number;
}

interface Outcome {
  question: GoldenQuestion;
  before: number | null;
  after: number | null;
  why: WorseQuestion['why'];
  first: string | null;
}

/**
 * Asks every question of both versions, one after the other.
 * @throws Error when only one of the two could be asked in full: that says nothing about the text
 */
export async function judge(
  retrieval: Retrieval,
  trial: Trial,
  questions: readonly GoldenQuestion[],
  gate: Gate,
  now: Date,
): Promise<GateReport> {
  const outcomes: Outcome[] = [];
  for (const question of questions) outcomes.push(await askBoth(retrieval, trial, question));
  const before = mean(outcomes.map((outcome) => worth(outcome.before)));
  const after = mean(outcomes.map((outcome) => worth(outcome.after)));
  const lost = outcomes.filter((outcome) => outcome.before !== null && outcome.after === null).length;
  const reason = objection(gate, before - after, lost);
  return {
    against: trial.active,
    questions: questions.length,
    before,
    after,
    lost,
    blocked: reason !== null,
    reason,
    worse: outcomes
      .filter((outcome) => worth(outcome.after) < worth(outcome.before))
      .toSorted((a, b) => worth(b.before) - worth(b.after) - (worth(a.before) - worth(a.after)))
      .slice(0, mostWorse)
      .map(({ question, ...rest }) => ({ questionId: showId('gq', question.id), query: question.query, ...rest })),
    judgedAt: now.toISOString(),
  };
}

const worth = (rank: number | null): number => (rank === null ? 0 : 1 / rank);

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);

function objection({ maxDrop, maxLost }: Gate, drop: number, lost: number): string | null {
  // Means of many fractions: what is equal must not count as more.
  if (drop > maxDrop + 1e-9) return `found worse by ${drop.toFixed(3)}, and ${maxDrop} is allowed`;
  if (maxLost !== null && lost > maxLost)
    return `${lost} questions lost what they must find, and ${maxLost} are allowed`;
  return null;
}

async function askBoth(retrieval: Retrieval, trial: Trial, question: GoldenQuestion): Promise<Outcome> {
  const before = await ask(retrieval, trial, question, trial.active);
  const documentId = before.results.find((result) => isExpected(result, question.expected))?.document.id;
  const after = await ask(retrieval, trial, question, trial.candidate, documentId);
  if (after.degraded.length !== before.degraded.length)
    throw new Error('one version was searched with the model and the other without: judged again later');
  return {
    question,
    before: rankIn(before, question.expected),
    after: rankIn(after, question.expected),
    why: after.explanation ? { documentId: after.explanation.documentId, reason: after.explanation.reason } : null,
    first: after.results[0]?.document.id ?? null,
  };
}

function ask(
  retrieval: Retrieval,
  { tenantId, knowledgeBaseId }: Trial,
  { query, principal }: GoldenQuestion,
  version: number,
  documentId?: string,
): Promise<SearchAnswer> {
  const wish = { query, topK: depth, mode: 'hybrid' as const, version, explain: true, documentId };
  return retrieval.search(
    judgeOf(tenantId),
    showId('kb', knowledgeBaseId),
    { ...wish, ...(principal ? { as: principal } : {}) },
    { judging: true },
  );
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

function rankIn({ results }: SearchAnswer, expected: readonly Expected[]): number | null {
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
