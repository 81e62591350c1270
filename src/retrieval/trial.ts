import { record } from '../events/outbox.js';
import { PermanentFailure } from '../errors.js';
import { blockVersion, withdrawVersion } from '../knowledge/candidates.js';
import { type GateReport, gateOf, type GateWish } from '../knowledge/gate.js';
import { goldenQuestions } from '../knowledge/golden-questions.js';
import { activateVersion, lockBase, type LockedBase } from '../knowledge/next-version.js';
import type { Transaction } from '../platform/database.js';
import type { Embedder } from '../platform/models/embedder.js';
import type { Trial } from './judge.js';
import type { IndexModel } from './target.js';

/** A version that waits for its verdict. */
export type Candidate = { knowledgeBaseId: string; tenantId: string; version: number };

interface TrialRow {
  active_version: number;
  parent: number;
  gate: GateWish;
  live: IndexModel | null;
  candidate: IndexModel | null;
}

/**
 * In a transaction of its own: what is to be judged. A candidate that was built on what no longer answers is withdrawn.
 * @returns null when it is not to be judged, or not any more
 */
export async function openTrial(tx: Transaction, candidate: Candidate): Promise<Trial | null> {
  const { knowledgeBaseId, tenantId, version } = candidate;
  const row = await tx.row<TrialRow>(
    `select b.active_version, b.gate, v.parent, ${modelOf('p')} as live, ${modelOf('v')} as candidate
     from knowledge_base b join version v on v.knowledge_base_id = b.id join version p on p.knowledge_base_id = b.id and p.number = v.parent
     where b.id = $1 and b.deleted_at is null and v.number = $2 and v.status = 'building'`,
    [knowledgeBaseId, version],
  );
  if (!row) return null;
  if (row.active_version !== row.parent) {
    await lockCandidate(tx, candidate);
    return null;
  }
  return {
    tenantId,
    knowledgeBaseId,
    live: { version: row.parent, model: row.live, without: new Set() },
    candidate: { version, model: row.candidate, without: new Set() },
    questions: await goldenQuestions(tx, knowledgeBaseId),
    gate: gateOf(row.gate),
  };
}

/** As SQL: what the vectors of a version were made with, as an {@link IndexModel}; null where it shows nothing. */
const modelOf = (version: string): string =>
  `(select jsonb_build_object('embedding', i.pipeline->'embedding', 'dimensions', i.dimensions)
    from knowledge_index i where i.id = ${version}.index_id)`;

/**
 * Leaves out, on each side, the model that will not be back: one that is not configured here, or gives vectors of another
 * size by now. What is found without it is what readers find.
 */
export async function leaveOutLostModels(embedder: Embedder, { live, candidate, questions }: Trial): Promise<void> {
  const [question] = questions;
  for (const { model, without } of [live, candidate])
    if (question && model && (await isLost(embedder, model, question.query))) without.add('semantic');
}

async function isLost(embedder: Embedder, { embedding, dimensions }: IndexModel, question: string): Promise<boolean> {
  const model = embedder.find(embedding);
  if (!model) return true;
  try {
    await model.embedQuery(question, dimensions);
    return false;
  } catch (error) {
    // Any other failure may pass, and the search meets it too.
    return error instanceof PermanentFailure;
  }
}

/** In a transaction of its own: what passes answers from its commit on, what does not is kept back; the report stays with it. */
export async function conclude(tx: Transaction, candidate: Candidate, report: GateReport): Promise<void> {
  const base = await lockCandidate(tx, candidate);
  if (!base) return;
  const { knowledgeBaseId: id, version } = candidate;
  await tx.run('update version set report = $3 where knowledge_base_id = $1 and number = $2', [
    id,
    version,
    JSON.stringify(report),
  ]);
  if (report.blocked) await blockVersion(tx, candidate, id, version, report);
  else await activateVersion(tx, candidate, base, version);
  await tellJudged(tx, candidate);
}

/**
 * Holds the base while it is settled what becomes of a candidate. The version before a candidate is the only one it can
 * follow: when a person has moved the pointer meanwhile, it is withdrawn, whatever was found.
 * @returns null when nothing is left to settle
 */
async function lockCandidate(tx: Transaction, candidate: Candidate): Promise<LockedBase | null> {
  const { knowledgeBaseId: id, version } = candidate;
  const base = await lockBase(tx, id);
  const waits = await tx.row<{ parent: number }>(
    `select parent from version where knowledge_base_id = $1 and number = $2 and status = 'building'`,
    [id, version],
  );
  if (!base || !waits) return null;
  if (base.active_version === waits.parent) return base;
  await withdrawVersion(tx, candidate, id, version);
  await tellJudged(tx, candidate);
  return null;
}

/** What waited for the verdict can be published now. */
async function tellJudged(tx: Transaction, { knowledgeBaseId, ...scope }: Candidate): Promise<void> {
  await record(tx, scope, { type: 'index.version.judged', data: { knowledgeBaseId } });
}

/**
 * Counts that a part of search was down when a candidate was to be judged.
 * @returns how often that was, this time included
 */
export async function countTry(tx: Transaction, { knowledgeBaseId, version }: Candidate): Promise<number> {
  const row = await tx.row<{ tries: number }>(
    `update version set judge_tries = judge_tries + 1 where knowledge_base_id = $1 and number = $2 returning judge_tries as tries`,
    [knowledgeBaseId, version],
  );
  return row?.tries ?? 0;
}
