import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { Relay } from '../events/relay.js';
import { Deletions } from '../knowledge/deletions.js';
import { Database } from '../platform/database.js';
import { defineJob } from '../platform/jobs/definition.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { JobQueue } from '../platform/jobs/job-queue.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { BaseClearing } from './clear-base.js';
import { Fsck } from './fsck.js';
import { Purging } from './purge.js';
import { Retention } from './retention.js';

export const clearBaseJob = defineJob<{ knowledgeBaseId: string }>({
  name: 'clear-base',
  queue: 'light',
  attempts: 5,
  key: ({ knowledgeBaseId }) => knowledgeBaseId,
});

export const retainJob = defineJob<{ knowledgeBaseId: string; tenantId: string }>({
  name: 'retain',
  queue: 'light',
  attempts: 2,
  key: ({ knowledgeBaseId }) => knowledgeBaseId,
});

export const checkJob = defineJob<{ begun: number }>({
  name: 'check',
  queue: 'light',
  attempts: 1,
  key: () => 'check',
});

/** What is no longer kept: what deleted bases and documents leave behind, and old versions. */
@Injectable()
export class KeepingJobs {
  constructor(
    relay: Relay,
    private readonly queue: JobQueue,
    private readonly deletions: Deletions,
    private readonly purging: Purging,
    private readonly clearing: BaseClearing,
    private readonly retention: Retention,
    private readonly fsck: Fsck,
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    relay.subscribe('knowledge_base.deleted', (event) =>
      queue.add(clearBaseJob, { knowledgeBaseId: String(event.data['knowledgeBaseId']) }),
    );
  }

  @Handles(clearBaseJob)
  async clearBase({ knowledgeBaseId }: { knowledgeBaseId: string }): Promise<void> {
    await this.clearing.clear(knowledgeBaseId);
  }

  @Sweep(30_000)
  async announceDeletedBases(): Promise<void> {
    for (const due of await this.clearing.due()) await this.queue.add(clearBaseJob, due);
  }

  /** Merges are set going every 15 s: that makes half a minute from the end of a document to the end of its postings. */
  @Sweep(10_000)
  async endMerged(): Promise<void> {
    const waiting = await this.deletions.waiting('postings');
    for (const tenantId of new Set(waiting.map((deletion) => deletion.tenantId)))
      await this.purging.endMerged({ tenantId });
  }

  @Handles(retainJob)
  async retain({ knowledgeBaseId, tenantId }: { knowledgeBaseId: string; tenantId: string }): Promise<void> {
    await this.retention.retain({ tenantId }, knowledgeBaseId);
  }

  @Sweep(300_000)
  async announceRetention(): Promise<void> {
    for (const due of await this.retention.due()) await this.queue.add(retainJob, due);
  }

  /** Tells of what disagrees; to mend it is for a person, who may want to know why first. */
  @Handles(checkJob)
  async check(_reminder: { begun: number }): Promise<void> {
    const began = performance.now();
    const { checked, disagreements } = await this.fsck.check();
    const ms = Math.round(performance.now() - began);
    if (disagreements.length === 0) this.logger.info({ checked, ms }, 'what is stored agrees');
    else this.logger.warn({ checked, disagreements, ms }, 'what is stored disagrees: npm run fsck -- --mend');
  }

  /** Once in so many hours, by one of all processes; for the first time so long after the first start. */
  @Sweep(600_000)
  async announceCheck(): Promise<void> {
    const { checkHours } = this.config.knowledge;
    if (checkHours === 0) return;
    const due = await this.database.asSystem(async (tx) => {
      await tx.run(`insert into chore (name) values ('check') on conflict do nothing`);
      return tx.run(
        `update chore set begun_at = now() where name = 'check' and begun_at < now() - make_interval(hours => $1)`,
        [checkHours],
      );
    });
    if (due > 0) await this.queue.add(checkJob, { begun: Date.now() });
  }
}
