import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { Indexes } from '../knowledge/indexes.js';
import type { Cause } from '../knowledge/next-version.js';
import { walk } from '../knowledge/version-changes.js';
import { BlobClaims } from '../platform/blob-claims.js';
import { boundary } from '../platform/boundary.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { dropUnused, unused } from './drop-index.js';
import { endBlocked } from './end-blocked.js';
import { type Freeable, freeable, freeSome, rowsKept, unanswered } from './free-revision.js';
import { neededOf } from './orphans.js';

// What one transaction removes at most: a few milliseconds on the rows of nobody's query.
const batchRows = 500;

// How many versions are freed, or forgotten, by one statement.
const versionsAtOnce = 500;

/** What is kept: the newest versions, the young ones, what is served, what that was built on, and what is still being built. */
const old = (version: string, limits: { versions: string; hours: string }) =>
  `${version}.place > ${limits.versions} and ${version}.status in ('ready', 'blocked')
     and ${version}.created_at < now() - make_interval(hours => ${limits.hours})
     and ${version}.number is distinct from ${version}.served_parent`;

/** As SQL: the versions whose rows are there, each with its place from the newest on. */
const kept = (where: string) =>
  `select v.knowledge_base_id, v.tenant_id, v.number, v.status, v.created_at,
     row_number() over (partition by v.knowledge_base_id order by v.number desc) as place,
     max(v.parent) filter (where v.status = 'active') over (partition by v.knowledge_base_id) as served_parent
   from version v where v.status <> 'retired' ${where}`;

/**
 * Keeps the last versions of a base and frees the rest: older ones are retired, which ends rolling back to them, and then
 * the rows go that only they showed, a few at a time.
 */
@Injectable()
export class Retention {
  constructor(
    private readonly database: Database,
    private readonly indexes: Indexes,
    private readonly claims: BlobClaims,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** The bases with something to retire, to free, to drop or to forget. */
  due(): Promise<{ knowledgeBaseId: string; tenantId: string }[]> {
    const { retainVersions, retainHours } = this.config.knowledge;
    return this.database.onceAsSystem(
      `select x.id as "knowledgeBaseId", x.tenant_id as "tenantId" from (
           select k.knowledge_base_id as id, k.tenant_id from (${kept('')}) k where ${old('k', { versions: '$1', hours: '$2' })}
           union select v.knowledge_base_id, v.tenant_id from version v where v.status = 'retired' and v.freed_at is null
             and not ${rowsKept('v', 'v.knowledge_base_id')}
           union select r.knowledge_base_id, r.tenant_id from revision r where ${unanswered('$2')}
           union select i.knowledge_base_id, i.tenant_id from knowledge_index i join knowledge_base b on b.id = i.knowledge_base_id where ${unused}
         ) x join knowledge_base b on b.id = x.id and b.deleted_at is null limit 1000`,
      [retainVersions, retainHours],
    );
  }

  /** Safe to be killed at any moment, and to run twice: what is not freed yet is found again. */
  async retain(scope: TenantScope, knowledgeBaseId: string): Promise<void> {
    const began = performance.now();
    const retired = await this.retire(scope, knowledgeBaseId);
    await boundary('retention.retired', knowledgeBaseId);
    const indexes = await dropUnused(this.database, this.indexes, scope, knowledgeBaseId);
    const revisions =
      (await this.freeRetired(scope, knowledgeBaseId)) + (await this.freeUnanswered(scope, knowledgeBaseId));
    const changes = await this.prune(scope, knowledgeBaseId);
    const ms = Math.round(performance.now() - began);
    if (retired + indexes + revisions + changes > 0)
      this.logger.info(
        { knowledgeBase: knowledgeBaseId, retired, indexes, revisions, changes, ms },
        'versions retired',
      );
  }

  /** As publishing does, under the base's lock: who builds on a version, or goes back to it, comes before or after. */
  private retire(scope: TenantScope, id: string): Promise<number> {
    const { retainVersions, retainHours } = this.config.knowledge;
    return this.database.as(scope, async (tx) => {
      const base = await tx.row('select 1 from knowledge_base where id = $1 and deleted_at is null for no key update', [
        id,
      ]);
      if (!base) return 0;
      const retired = await tx.rows<{ number: number; before: string; cause: Cause }>(
        `update version r set status = 'retired' from (${kept('and v.knowledge_base_id = $1')}) k
         where r.knowledge_base_id = $1 and r.number = k.number and ${old('k', { versions: '$2', hours: '$3' })}
         returning r.number, k.status as before, r.cause`,
        [id, retainVersions, retainHours],
      );
      for (const { number, before, cause } of retired)
        if (before === 'blocked') await endBlocked(tx, scope, id, number, cause);
      return retired.length;
    });
  }

  /** Oldest versions first. Where somebody held a revision they are not marked as freed, so that it is found again. */
  private async freeRetired(scope: TenantScope, id: string): Promise<number> {
    let freed = 0;
    for (;;) {
      const numbers = await this.unfreed(scope, id);
      if (numbers.length === 0) return freed;
      const candidates = await this.database.as(scope, (tx) => candidatesOf(tx, id, numbers));
      const { gone, busy } = await this.freeAll(scope, id, candidates);
      freed += gone;
      if (busy > 0) return freed;
      await this.markFreed(scope, id, numbers);
    }
  }

  private async unfreed(scope: TenantScope, id: string): Promise<number[]> {
    const rows = await this.database.as(scope, (tx) =>
      tx.rows<{ number: number }>(
        `select number from version v where knowledge_base_id = $1 and status = 'retired' and freed_at is null and not ${rowsKept('v', '$1')}
         order by number limit ${versionsAtOnce}`,
        [id],
      ),
    );
    return rows.map(({ number }) => number);
  }

  private async freeUnanswered(scope: TenantScope, id: string): Promise<number> {
    const rows = await this.database.as(scope, (tx) =>
      tx.rows<{ id: string }>(`select r.id from revision r where r.knowledge_base_id = $1 and ${unanswered('$2')}`, [
        id,
        this.config.knowledge.retainHours,
      ]),
    );
    const ids = rows.map((row) => row.id);
    return (await this.freeAll(scope, id, ids)).gone;
  }

  private async freeAll(scope: TenantScope, id: string, candidates: string[]): Promise<{ gone: number; busy: number }> {
    const counts = { gone: 0, busy: 0 };
    for (let start = 0; start < candidates.length; start += batchRows) {
      const some = candidates.slice(start, start + batchRows);
      const found = await this.database.as(scope, (tx) => freeable(tx, id, some));
      for (const revision of found) counts[await this.free(scope, revision)] += 1;
    }
    return counts;
  }

  /** Row by row from the end, so that the first chunk, by which a revision is known, is there until the others are gone. */
  private async free(scope: TenantScope, revision: Freeable): Promise<'gone' | 'busy'> {
    let outcome: Awaited<ReturnType<typeof freeSome>>;
    do {
      outcome = await this.database.as(scope, (tx) => freeSome(tx, revision, batchRows));
      await boundary('retention.freeing', revision.id);
    } while (outcome === 'more');
    if (outcome === 'gone')
      await this.claims.remove(scope, revision.contentHash, async (tx) =>
        (await neededOf(tx, [revision.contentHash])).has(revision.contentHash),
      );
    return outcome === 'busy' ? 'busy' : 'gone';
  }

  private async markFreed(scope: TenantScope, id: string, numbers: number[]): Promise<void> {
    await this.database.as(scope, (tx) =>
      tx.run('update version set freed_at = now() where knowledge_base_id = $1 and number = any($2::int[])', [
        id,
        numbers,
      ]),
    );
  }

  /** Forgets what retired versions changed, but for those on the way between two that are kept: comparing and going back pass them. */
  private async prune(scope: TenantScope, id: string): Promise<number> {
    const passed = await this.database.as(scope, (tx) =>
      tx.rows<{ number: number }>(
        `with recursive ${walk('$1', neighbours('true'))}
         select v.number from version v where v.knowledge_base_id = $1 and v.status = 'retired' and v.freed_at is not null
           and v.pruned_at is null and v.number not in (select step from walk where step is not null)`,
        [id],
      ),
    );
    let forgotten = 0;
    for (let start = 0; start < passed.length; start += versionsAtOnce) {
      const some = passed.slice(start, start + versionsAtOnce).map(({ number }) => number);
      forgotten += await this.forget(scope, id, some);
    }
    return forgotten;
  }

  private async forget(scope: TenantScope, id: string, numbers: number[]): Promise<number> {
    const some = () =>
      this.database.as(scope, async (tx) => {
        const count = await tx.run(
          `delete from version_change where knowledge_base_id = $1 and (number, document_id) in (
             select number, document_id from version_change where knowledge_base_id = $1 and number = any($2::int[]) limit ${batchRows})`,
          [id, numbers],
        );
        if (count < batchRows)
          await tx.run(
            'update version set pruned_at = now() where knowledge_base_id = $1 and number = any($2::int[])',
            [id, numbers],
          );
        return count;
      });
    let forgotten = 0;
    for (let count = batchRows; count === batchRows; forgotten += count) count = await some();
    return forgotten;
  }
}

/**
 * As SQL over the versions that are not freed, with the base's id as $1: each with the next one. What lies on the ways
 * between neighbours lies on the way between any two, and walking those takes no time that depends on how many there are.
 */
const neighbours = (which: string): string =>
  `select number, next from (select number, lead(number) over (order by number) as next from version
     where knowledge_base_id = $1 and freed_at is null) k where next is not null and ${which}`;

/** Revisions that may be needed no longer. What a retired version showed and the next one does not, was changed on the way between the two. */
async function candidatesOf(tx: Transaction, id: string, retired: number[]): Promise<string[]> {
  const rows = await tx.rows<{ id: string }>(
    `with recursive ${walk('$1', neighbours('number = any($2::int[])'))}
     select distinct x.id from version_change c cross join lateral (values (c.before), (c.after)) x (id)
     where c.knowledge_base_id = $1 and c.number in (select step from walk) and x.id is not null`,
    [id, retired],
  );
  return rows.map((row) => row.id);
}
