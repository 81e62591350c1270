import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { Relay } from '../events/relay.js';
import type { GateReport } from '../knowledge/gate.js';
import { boundary } from '../platform/boundary.js';
import { Database } from '../platform/database.js';
import { readId } from '../platform/ids.js';
import { defineJob } from '../platform/jobs/definition.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { JobQueue } from '../platform/jobs/job-queue.js';
import { Embedder } from '../platform/models/embedder.js';
import { judge, PartsDown, type Trial } from './judge.js';
import { Retrieval } from './retrieval.js';
import { type Candidate, conclude, countTry, leaveOutLostModels, openTrial } from './trial.js';

export const judgeJob = defineJob<Candidate>({
  name: 'judge',
  queue: 'light',
  attempts: 5,
  key: ({ knowledgeBaseId, version }) => `${knowledgeBaseId} ${version}`,
});

// How often a part of search may be down before a candidate is judged without it: the attempts of two jobs, which take
// longer than a provider is left alone that fails. Nothing else of the base is published meanwhile.
const patience = 10;

/** Judges the candidates of gated bases: what passes answers from then on, what does not is kept back with a report. */
@Injectable()
export class GateJobs {
  /**
   * How many may be judged at once here. With hundreds of questions that takes minutes: most places for short jobs stay free
   * for these. Among the long ones it would wait behind another tenant's backlog, and all publishing of its base with it.
   */
  private readonly places: number;
  private taken = 0;
  private turnedAway = false;

  constructor(
    relay: Relay,
    private readonly queue: JobQueue,
    private readonly database: Database,
    private readonly retrieval: Retrieval,
    private readonly embedder: Embedder,
    @Inject(CONFIG) { workers }: Config,
  ) {
    this.places = Math.max(1, Math.floor(workers.light / 4));
    relay.subscribe('index.version.built', ({ tenantId, data }) =>
      queue.add(judgeJob, {
        knowledgeBaseId: readId('kb', String(data['knowledgeBaseId'])),
        tenantId,
        version: Number(data['version']),
      }),
    );
  }

  /** Where all places are taken, it ends at once: it is announced again as soon as one is free. */
  @Handles(judgeJob)
  async judge(candidate: Candidate): Promise<void> {
    if (this.taken >= this.places) {
      this.turnedAway = true;
      return;
    }
    this.taken += 1;
    try {
      await this.settle(candidate);
    } finally {
      this.taken -= 1;
    }
    if (this.turnedAway) await this.announceWaiting();
  }

  /** Candidates whose judge died, gave up for now or had no place. */
  @Sweep(20_000)
  async announceWaiting(): Promise<void> {
    this.turnedAway = false;
    const rows = await this.database.onceAsSystem<Candidate>(
      `select v.knowledge_base_id as "knowledgeBaseId", v.tenant_id as "tenantId", v.number as version
         from version v join knowledge_base b on b.id = v.knowledge_base_id
         where v.status = 'building' and b.deleted_at is null limit 1000`,
    );
    for (const row of rows) await this.queue.add(judgeJob, row);
  }

  private async settle(candidate: Candidate): Promise<void> {
    const trial = await this.database.as(candidate, (tx) => openTrial(tx, candidate));
    if (!trial) return;
    await boundary('gate.judging', candidate.knowledgeBaseId);
    const report = await this.verdict(candidate, trial);
    await this.database.as(candidate, (tx) => conclude(tx, candidate, report));
  }

  /**
   * What is down for too long is left out on both sides, which are thus compared alike.
   * @throws PartsDown as long as there is patience
   */
  private async verdict(candidate: Candidate, trial: Trial): Promise<GateReport> {
    await leaveOutLostModels(this.embedder, trial);
    for (;;) {
      try {
        return await judge(this.retrieval, trial, new Date());
      } catch (error) {
        if (!(error instanceof PartsDown)) throw error;
        const tries = await this.database.as(candidate, (tx) => countTry(tx, candidate));
        if (tries < patience) throw error;
        for (const { without } of [trial.live, trial.candidate]) for (const part of error.parts) without.add(part);
      }
    }
  }
}
