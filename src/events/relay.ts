import { Inject, Injectable } from '@nestjs/common';
import { boundary } from '../platform/boundary.js';
import { Database, type TenantScope } from '../platform/database.js';
import { Frees, Sweep } from '../platform/jobs/handlers.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import type { EventType } from './catalogue.js';
import { outboxChannel } from './outbox.js';

const untold = 'dispatched_at is null and (claimed_until is null or claimed_until < now())';

/** An event as a subscriber gets it. */
export interface RecordedEvent extends TenantScope {
  id: string;
  type: EventType;
  sequence: number | null;
  data: Record<string, unknown>;
  requestId: string | null;
  createdAt: Date;
}

/** What follows from an event. It may come twice, so it must be idempotent; a thrown error means "again later". */
export type Subscriber = (event: RecordedEvent) => Promise<void>;

interface EventRow {
  id: string;
  tenant_id: string;
  type: EventType;
  sequence: string | null;
  data: Record<string, unknown>;
  request_id: string | null;
  created_at: Date;
}

// Of each tenant that has untold events, so that a thousand of one are no wait for another.
const batch = 16;
// Telling takes a millisecond or fifty. After this long, whoever has something new to tell has a turn.
const turnMs = 100;

/**
 * Tells subscribers what was recorded, each event at least once. Events are claimed for half a minute rather than locked:
 * telling takes queue and network calls, and no transaction stays open for those.
 */
@Injectable()
export class Relay {
  private readonly subscribers = new Map<EventType | '*', Subscriber[]>();

  constructor(
    private readonly database: Database,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Rooms subscribe while they are made; `*` hears everything. */
  subscribe(type: EventType | '*', subscriber: Subscriber): void {
    this.subscribers.set(type, [...(this.subscribers.get(type) ?? []), subscriber]);
  }

  @Sweep(1000, outboxChannel)
  async relay(): Promise<void> {
    // Until there is nothing new: what subscribers do may be recorded in its turn.
    while ((await this.relayBatch()) > 0);
  }

  @Frees()
  async freeClaims(): Promise<void> {
    await this.database.asSystem((tx) =>
      tx.run('update event set claimed_until = null where dispatched_at is null and claimed_until is not null'),
    );
  }

  private async relayBatch(): Promise<number> {
    const claimed = await this.database.onceAsSystem<EventRow>(
      `with recursive teller (tenant_id) as (
           (select tenant_id from event where dispatched_at is null order by tenant_id limit 1)
           union all
           select (select e.tenant_id from event e where e.dispatched_at is null and e.tenant_id > t.tenant_id order by e.tenant_id limit 1)
           from teller t where t.tenant_id is not null
         )
         update event set claimed_until = now() + interval '30 seconds'
         where ${untold} and id in (
           select next.id from teller t cross join lateral (
             select id, row_number() over (order by created_at, id) as place
             from event where tenant_id = t.tenant_id and ${untold} order by created_at, id limit ${batch}
           ) next order by next.place limit ${8 * batch})
         returning id, tenant_id, type, sequence, data, request_id, created_at`,
    );
    const rows = inTurns(claimed);
    const told: string[] = [];
    const end = performance.now() + turnMs;
    const left: string[] = [];
    for (const row of rows) {
      if (told.length > 0 && performance.now() > end) {
        left.push(row.id);
        continue;
      }
      if (await this.tell(row)) told.push(row.id);
      await boundary('event.told', row.id);
    }
    await this.note(told, left);
    return told.length;
  }

  private async note(told: string[], left: string[]): Promise<void> {
    if (told.length + left.length === 0) return;
    await this.database.onceAsSystem(
      `update event set claimed_until = null, dispatched_at = case when id = any($1::uuid[]) then now() end
       where id = any($1::uuid[]) or id = any($2::uuid[])`,
      [told, left],
    );
  }

  /** @returns whether everybody has heard it; if not, it is told again when its claim ends */
  private async tell(row: EventRow): Promise<boolean> {
    const event: RecordedEvent = {
      id: row.id,
      tenantId: row.tenant_id,
      type: row.type,
      sequence: row.sequence === null ? null : Number(row.sequence),
      data: row.data,
      requestId: row.request_id,
      createdAt: row.created_at,
    };
    try {
      for (const subscriber of [...(this.subscribers.get(row.type) ?? []), ...(this.subscribers.get('*') ?? [])])
        await subscriber(event);
      return true;
    } catch (error) {
      this.logger.warn({ err: error, event: row.id, type: row.type }, 'a subscriber failed; the event is told again');
      return false;
    }
  }
}

/** Each tenant's oldest, then each one's second, and so on. */
function inTurns(rows: readonly EventRow[]): EventRow[] {
  const places = new Map<string, number>();
  return rows
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((row) => {
      const place = places.get(row.tenant_id) ?? 0;
      places.set(row.tenant_id, place + 1);
      return { row, place };
    })
    .toSorted((a, b) => a.place - b.place)
    .map(({ row }) => row);
}
