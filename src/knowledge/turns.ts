import { Injectable } from '@nestjs/common';
import { Database } from '../platform/database.js';

// Of a tenant's unfinished revisions: what waits, and what a dead worker left. What failed for a while waits its time out.
// What waits in the slow lane is taken from there.
const due = `r.lane = 'fast' and (r.status = 'queued' and (r.tries = 0 or r.lease_expires_at < now())
  or r.status in ('parsing', 'chunking', 'embedding') and r.lease_expires_at < now())`;
const unfinished = `status in ('queued', 'parsing', 'chunking', 'embedding')`;

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
   * @returns the id of the revision to work on next, or null when nothing else is due
   */
  async next(tried: readonly string[] = []): Promise<string | null> {
    return this.database.asSystem(async (tx) => {
      // The tenants that have work, one index probe each: their backlogs are not read.
      const turn = await tx.row<{ tenant_id: string; id: string }>(
        `with recursive waiting (tenant_id) as (
           (select tenant_id from revision where ${unfinished} order by tenant_id limit 1)
           union all
           select (select r.tenant_id from revision r where ${unfinished} and r.tenant_id > w.tenant_id order by r.tenant_id limit 1)
           from waiting w where w.tenant_id is not null
         )
         select w.tenant_id, oldest.id
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
      return turn.id;
    });
  }
}
