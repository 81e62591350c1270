import { randomUUID } from 'node:crypto';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { PermanentFailure } from '../errors.js';
import { UnreadDocuments } from '../knowledge/document-terms.js';
import { Indexes } from '../knowledge/indexes.js';
import type { Pipeline } from '../knowledge/pipeline.js';
import { failReindex, type HeldReindex } from '../knowledge/reindexes.js';
import { Database, type TenantScope } from '../platform/database.js';
import { Frees, Sweep } from '../platform/jobs/handlers.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { ProviderFailure } from '../platform/models/provider-failure.js';
import { holdReindex, IndexBuilding, Interrupted } from './build-index.js';

// How long one reindex goes on before the next one has its turn.
const turnMs = 10_000;
// An upload that waits for longer than this goes first; but one revision is built in so long, whatever waits.
const momentMs = 1000;
const patienceMs = 5000;
// Between two attempts after something failed that may pass; and how many there are without a revision being built.
const pauseSeconds = 15;
const longestPauseSeconds = 600;
const maxTries = 20;

interface DueRow {
  id: string;
  tenantId: string;
}

/**
 * Builds second indexes while nobody waits, and clears away those that were given up. What is to be done stands in the
 * database; no job is needed.
 */
@Injectable()
export class ReindexJobs implements OnModuleDestroy {
  private readonly stop = new AbortController();
  private working: Promise<unknown> | null = null;
  private lastBuilt = 0;

  constructor(
    private readonly database: Database,
    private readonly building: IndexBuilding,
    private readonly indexes: Indexes,
    private readonly unread: UnreadDocuments,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @returns whether anything was done */
  @Sweep(2_000)
  async work(): Promise<boolean> {
    const work = this.turns();
    this.working = work;
    return work;
  }

  @Sweep(10_000)
  async dropAbandoned(): Promise<boolean> {
    const abandoned = await this.indexes.abandoned();
    for (const { id, tenantId } of abandoned) await this.indexes.drop({ tenantId }, id);
    return abandoned.length > 0;
  }

  @Sweep(5_000)
  async readTitles(): Promise<void> {
    await this.unread.readMoved();
  }

  /** Ends the leases and waiting times of all: whoever held one is dead. */
  @Frees()
  async freeAll(): Promise<void> {
    const held = await this.database.onceAsSystem<DueRow>(
      `select id, tenant_id as "tenantId" from reindex where status = 'running' and lease_expires_at > now()`,
    );
    for (const { id, tenantId } of held)
      await this.database.as({ tenantId }, (tx) =>
        tx.run('update reindex set lease_expires_at = now() where id = $1', [id]),
      );
  }

  /** While there is still a database to give the lease back in. */
  async onModuleDestroy(): Promise<void> {
    this.stop.abort();
    await Promise.allSettled([this.working]);
  }

  private async turns(): Promise<boolean> {
    let any = false;
    for (let more = true; more && !this.stop.signal.aborted;) {
      more = false;
      for (const { id, tenantId } of await this.due()) if (await this.carryOn({ tenantId }, id)) more = true;
      any ||= more;
    }
    return any;
  }

  private due(): Promise<DueRow[]> {
    return this.database.onceAsSystem<DueRow>(
      `select id, tenant_id as "tenantId" from reindex
         where status = 'running' and lease_expires_at <= now() order by lease_expires_at limit 100`,
    );
  }

  /** @returns whether a revision was built or the index answers now */
  private async carryOn(scope: TenantScope, id: string): Promise<boolean> {
    const reindex = await this.claim(scope, id);
    if (!reindex || this.stop.signal.aborted) return false;
    const lost = new AbortController();
    const beat = setInterval(() => void this.beat(reindex, lost), (this.config.workers.leaseSeconds * 1000) / 3);
    // From the first revision on: to compare two large indexes may take as long as a turn.
    let until: number | null = null;
    let built = 0;
    const mayGoOn = async () => {
      until ??= performance.now() + turnMs;
      if (performance.now() > until || this.stop.signal.aborted || (await this.standsBack())) return false;
      this.lastBuilt = performance.now();
      built += 1;
      return true;
    };
    try {
      const done = await this.building.build(reindex, {
        mayGoOn,
        stop: AbortSignal.any([lost.signal, this.stop.signal]),
      });
      if (!done) await this.giveBack(reindex, 0);
      return done || built > 0;
    } catch (error) {
      await this.giveUp(reindex, error);
      return false;
    } finally {
      clearInterval(beat);
    }
  }

  /** Whoever comes second stops. A worker that died while it built counts as a failed attempt. */
  private claim(scope: TenantScope, id: string): Promise<HeldReindex | null> {
    const lease = randomUUID();
    return this.database.as(scope, async (tx) => {
      const row = await tx.row<{ knowledgeBaseId: string; pipeline: Pipeline; indexId: number | null; tries: number }>(
        `update reindex set tries = tries + case when lease_token is null then 0 else 1 end, lease_token = $2,
           lease_expires_at = now() + make_interval(secs => $3)
         where id = $1 and status = 'running' and lease_expires_at <= now()
         returning knowledge_base_id as "knowledgeBaseId", pipeline, index_id as "indexId", tries`,
        [id, lease, this.config.workers.leaseSeconds],
      );
      if (!row) return null;
      if (row.tries < maxTries) return { ...scope, id, lease, ...row };
      const sentence = `This was tried ${maxTries} times and something was not to be had each time: resume it later.`;
      await failReindex(tx, { ...scope, id, lease }, new PermanentFailure('gave_up', sentence, true));
      return null;
    });
  }

  /**
   * Whether uploads go first: some have waited for longer than a moment, and this worker has built something lately. What
   * failed before and waits its time out does not count.
   */
  private async standsBack(): Promise<boolean> {
    if (performance.now() - this.lastBuilt > patienceMs) return false;
    const [row] = await this.database.onceAsSystem(
      `select 1 from revision where status = 'queued' and lane = 'fast' and tries = 0
           and created_at < now() - make_interval(secs => $1) limit 1`,
      [momentMs / 1000],
    );
    return row !== undefined;
  }

  private async beat(reindex: HeldReindex, lost: AbortController): Promise<void> {
    try {
      await this.database.as(reindex, (tx) => holdReindex(tx, reindex, this.config.workers.leaseSeconds));
    } catch (error) {
      if (error instanceof Interrupted) lost.abort();
    }
  }

  private async giveUp(reindex: HeldReindex, error: unknown): Promise<void> {
    if (error instanceof Interrupted) return this.giveBack(reindex, 0);
    this.logger.warn({ err: error, reindex: reindex.id }, 'an attempt to reindex failed');
    if (error instanceof PermanentFailure) {
      await this.database.as(reindex, (tx) => failReindex(tx, reindex, error));
    } else if (error instanceof ProviderFailure && error.kind === 'passing') {
      const waitSeconds = error.retryAfterMs === null ? pauseSeconds : error.retryAfterMs / 1000;
      await this.giveBack(reindex, Math.min(waitSeconds, longestPauseSeconds));
    } else await this.giveBack(reindex, pauseSeconds, 1);
  }

  private async giveBack({ id, lease, ...scope }: HeldReindex, waitSeconds: number, tries = 0): Promise<void> {
    await this.database.as(scope, (tx) =>
      tx.run(
        `update reindex set lease_token = null, lease_expires_at = now() + make_interval(secs => $3), tries = tries + $4
         where id = $1 and lease_token = $2`,
        [id, lease, waitSeconds, tries],
      ),
    );
  }
}
