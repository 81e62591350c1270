import { Injectable } from '@nestjs/common';
import { Database, type TenantScope } from '../platform/database.js';

// Of a tenant's unfinished revisions: what waits, and what a dead worker left. What failed for a while waits its time out.
// What waits in the slow lane is taken from there.
const due = `r.lane = 'fast' and (r.status = 'queued' and (r.tries = 0 or r.lease_expires_at < now())
  or r.status in ('parsing', 'chunking', 'embedding') and r.lease_expires_at < now())`;
const unfinished = `status in ('queued', 'parsing', 'chunking', 'embedding')`;

// A tenant with more than this is loading in bulk; somebody may be waiting for one of fewer.
const few = 3;

/** How many revisions a tenant has that are still to be read, as SQL; a backlog is not counted to its end. */
const countOf = (tenant: string) =>
  `select count(*)::int from (select from revision u where u.tenant_id = ${tenant} and u.${unfinished} limit ${few + 1}) counted`;

/** A revision that is to be worked on next. */
export interface Turn {
  id: string;
  /** Whether it is one of few: work that is soon done. */
  isOneOfFew: boolean;
}

/**
 * Whose turn it is. One tenant's backlog, however long, stands beside another's single upload and not before it: the next
 * revision is the oldest one of the tenant with the fewest revisions in work, among equals of the one served longest ago.
 */
@Injectable()
export class Turns {
  constructor(private readonly database: Database) {}

  /**
   * Gives the next tenant its turn. Nothing is locked or leased by it: two callers may get the same answer.
   * @param tried what the caller was given before and could not have: another worker was quicker
   * @returns null when nothing else is due
   */
  async next(tried: readonly string[] = []): Promise<Turn | null> {
    return this.database.asSystem(async (tx) => {
      // The tenants that have work, one index probe each: their backlogs are not read.
      const turn = await tx.row<{ tenant_id: string; id: string; unfinished: number }>(
        `with recursive waiting (tenant_id) as (
           (select tenant_id from revision where ${unfinished} order by tenant_id limit 1)
           union all
           select (select r.tenant_id from revision r where ${unfinished} and r.tenant_id > w.tenant_id order by r.tenant_id limit 1)
           from waiting w where w.tenant_id is not null
         )
         select w.tenant_id, oldest.id, (${countOf('w.tenant_id')}) as unfinished
         from waiting w
           join tenant t on t.id = w.tenant_id
           cross join lateral (
             select r.id from revision r join document d on d.id = r.document_id and d.deleted_at is null
               join knowledge_base b on b.id = r.knowledge_base_id and b.deleted_at is null
             where r.tenant_id = w.tenant_id and r.${unfinished} and ${due} and r.id <> all($1::uuid[]) order by r.created_at limit 1
           ) oldest
           cross join lateral (
             select count(*) as held from revision h
             where h.tenant_id = w.tenant_id and h.lane = 'fast' and h.lease_token is not null and h.lease_expires_at > now()
           ) work
         order by work.held, t.served_at nulls first limit 1`,
        [tried],
      );
      if (!turn) return null;
      await tx.run('update tenant set served_at = clock_timestamp() where id = $1', [turn.tenant_id]);
      return { id: turn.id, isOneOfFew: turn.unfinished <= few };
    });
  }

  /** Whether a tenant has so few revisions left to be read that it is not loading in bulk. */
  async hasFew(scope: TenantScope): Promise<boolean> {
    const [row] = await this.database.once<{ unfinished: number }>(scope, `select (${countOf('$1')}) as unfinished`, [
      scope.tenantId,
    ]);
    return (row?.unfinished ?? 0) <= few;
  }
}
