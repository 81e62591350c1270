import { Injectable } from '@nestjs/common';
import { record } from '../events/outbox.js';
import { Relay } from '../events/relay.js';
import { type Gate, type GateReport, gateOf, type GateWish, type GoldenQuestion } from '../knowledge/gate.js';
import { goldenQuestions } from '../knowledge/golden-questions.js';
import { activateVersion, lockBase } from '../knowledge/next-version.js';
import { blockVersion, withdrawVersion } from '../knowledge/candidates.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { readId } from '../platform/ids.js';
import { defineJob } from '../platform/jobs/definition.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { JobQueue } from '../platform/jobs/job-queue.js';
import { judge, type Trial } from './judge.js';
import { Retrieval } from './retrieval.js';

type Candidate = { knowledgeBaseId: string; tenantId: string; version: number };

export const judgeJob = defineJob<Candidate>({
  name: 'judge',
  queue: 'light',
  attempts: 5,
  key: ({ knowledgeBaseId, version }) => `${knowledgeBaseId} ${version}`,
});

/** Judges the candidates of gated bases: what passes answers from then on, what does not is kept back with a report. */
@Injectable()
export class GateJobs {
  constructor(
    relay: Relay,
    private readonly queue: JobQueue,
    private readonly database: Database,
    private readonly retrieval: Retrieval,
  ) {
    relay.subscribe('index.version.built', ({ tenantId, data }) =>
      queue.add(judgeJob, {
        knowledgeBaseId: readId('kb', String(data['knowledgeBaseId'])),
        tenantId,
        version: Number(data['version']),
      }),
    );
  }

  @Handles(judgeJob)
  async judge(candidate: Candidate): Promise<void> {
    const scope = { tenantId: candidate.tenantId };
    const found = await this.database.as(scope, (tx) => readTrial(tx, candidate));
    if (!found) return;
    const { trial, questions, gate } = found;
    const report = await judge(this.retrieval, trial, questions, gate, new Date());
    await this.database.as(scope, (tx) => conclude(tx, scope, trial, report));
  }

  /** Candidates whose judge died. */
  @Sweep(20_000)
  async announceWaiting(): Promise<void> {
    const rows = await this.database.asSystem((tx) =>
      tx.rows<Candidate>(
        `select v.knowledge_base_id as "knowledgeBaseId", v.tenant_id as "tenantId", v.number as version
         from version v join knowledge_base b on b.id = v.knowledge_base_id
         where v.status = 'building' and b.deleted_at is null limit 1000`,
      ),
    );
    for (const row of rows) await this.queue.add(judgeJob, row);
  }
}

/** @returns null when it is not to be judged any more */
async function readTrial(
  tx: Transaction,
  { knowledgeBaseId, tenantId, version }: Candidate,
): Promise<{ trial: Trial; questions: GoldenQuestion[]; gate: Gate } | null> {
  const row = await tx.row<{ active_version: number; gate: GateWish }>(
    `select b.active_version, b.gate from knowledge_base b join version v on v.knowledge_base_id = b.id
     where b.id = $1 and b.deleted_at is null and v.number = $2 and v.status = 'building'`,
    [knowledgeBaseId, version],
  );
  if (!row) return null;
  const trial = { tenantId, knowledgeBaseId, candidate: version, active: row.active_version };
  return { trial, questions: await goldenQuestions(tx, knowledgeBaseId), gate: gateOf(row.gate) };
}

async function conclude(tx: Transaction, scope: TenantScope, trial: Trial, report: GateReport): Promise<void> {
  const { knowledgeBaseId: id, candidate } = trial;
  const base = await lockBase(tx, id);
  const waits = await tx.row<{ parent: number }>(
    `select parent from version where knowledge_base_id = $1 and number = $2 and status = 'building'`,
    [id, candidate],
  );
  if (!base || !waits) return;
  await tx.run('update version set report = $3 where knowledge_base_id = $1 and number = $2', [
    id,
    candidate,
    JSON.stringify(report),
  ]);
  // A person has moved the pointer meanwhile: it was built on, and judged beside, what no longer answers.
  if (base.active_version !== waits.parent) await withdrawVersion(tx, scope, id, candidate);
  else if (report.blocked) await blockVersion(tx, scope, id, candidate, report);
  else await activateVersion(tx, scope, base, candidate);
  // What waited for the verdict can be published now.
  await record(tx, scope, { type: 'index.version.judged', data: { knowledgeBaseId: id } });
}
