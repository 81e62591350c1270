import { Injectable } from '@nestjs/common';
import type { Principal } from '../access/principal.js';
import type { EventType } from '../events/catalogue.js';
import { ApiError, notFound } from '../errors.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { type Page, page, startBelow } from '../platform/http/pages.js';
import { derivedId, readId, showId } from '../platform/ids.js';
import { JobQueue } from '../platform/jobs/job-queue.js';
import { deliver } from './deliver-job.js';
import { patternsOf } from './event-patterns.js';
import { type Message, messageBody } from './message.js';
import { messageId } from './signature.js';
import type { DeliveryQuery, DeliveryStatus } from './webhooks.dto.js';

interface DeliveryRow {
  id: string;
  endpoint_id: string;
  event_id: string;
  event_type: string;
  status: DeliveryStatus;
  attempts: number;
  next_attempt_at: Date | null;
  last_status: number | null;
  last_error: string | null;
  last_response: string | null;
  created_at: Date;
  delivered_at: Date | null;
}

const columns = `id, endpoint_id, event_id, event_type, status, attempts, next_attempt_at, last_status, last_error,
  last_response, created_at, delivered_at`;

// No longer counted: whatever waits behind that many for its endpoint, and what is tried again, goes last.
const longBacklog = 1000;

/** One event on its way to one endpoint: made from events, listed, and sent once more by hand. */
@Injectable()
export class Deliveries {
  constructor(
    private readonly database: Database,
    private readonly queue: JobQueue,
  ) {}

  /**
   * Makes a delivery to each live endpoint that listens to this event. Told twice, it makes none twice.
   * @returns those that nobody has tried yet: their reminders may be lost, so they are announced again; with each, how
   * many wait for the same endpoint
   */
  async fanOut(scope: TenantScope, event: Message): Promise<{ id: string; waiting: number }[]> {
    const listening = await this.database.once<{ id: string }>(
      scope,
      'select id from webhook_endpoint where events && $1::text[] and disabled_at is null and deleted_at is null',
      [patternsOf(event.type)],
    );
    if (listening.length === 0) return [];
    const endpoints = listening.map(({ id }) => id);
    return this.database.as(scope, async (tx) => {
      await insert(tx, scope, event, endpoints);
      return tx.rows<{ id: string; waiting: number }>(
        `select d.id, (select count(*)::int from (select from webhook_delivery o
           where o.endpoint_id = d.endpoint_id and o.status = 'pending' limit ${longBacklog}) as others) as waiting
         from webhook_delivery d
         where d.endpoint_id = any($1::uuid[]) and d.event_id = $2 and d.status = 'pending' and d.attempts = 0`,
        [endpoints, event.id],
      );
    });
  }

  /** The delivery of a `webhook.test` event, which goes to one endpoint and no other. */
  async insertTest(tx: Transaction, scope: TenantScope, endpointId: string, eventId: string): Promise<string> {
    const row = await tx.row<{ type: EventType; sequence: string; data: Record<string, unknown>; created_at: Date }>(
      'select type, sequence, data, created_at from event where id = $1',
      [eventId],
    );
    if (!row) throw new Error('the test event was not recorded');
    const event = {
      id: eventId,
      type: row.type,
      sequence: Number(row.sequence),
      data: row.data,
      createdAt: row.created_at,
    };
    const [id] = await insert(tx, scope, event, [endpointId]);
    if (!id) throw new Error('the test delivery was not made');
    return id;
  }

  /**
   * Reminds a worker, after the commit: what is lost here is found by the sweep. Deliveries go after every other short
   * job, and those of an endpoint with a backlog after those of an endpoint without.
   * @param waiting how many wait for the same endpoint
   */
  async announce(deliveryId: string, attempt: number, delayMs = 0, waiting = longBacklog): Promise<void> {
    await this.queue.add(deliver, { deliveryId, attempt }, { delayMs, behind: waiting });
  }

  /** Newest first. */
  async list(principal: Principal, query: DeliveryQuery): Promise<Page<ReturnType<typeof show>>> {
    const endpointId = query.endpointId === undefined ? null : readId('whe', query.endpointId);
    const rows = await this.database.as(principal, (tx) =>
      tx.rows<DeliveryRow>(
        `select ${columns} from webhook_delivery
         where tenant_id = $1 and id < $2 and ($3::uuid is null or endpoint_id = $3) and ($4::text is null or status = $4)
         order by id desc limit $5`,
        [principal.tenantId, startBelow(query), endpointId, query.status ?? null, query.limit + 1],
      ),
    );
    return page(rows, query, show);
  }

  async get(principal: Principal, shownId: string) {
    const id = readId('del', shownId);
    const row = await this.database.as(principal, (tx) =>
      tx.row<DeliveryRow>(`select ${columns} from webhook_delivery where id = $1`, [id]),
    );
    if (!row) throw notFound();
    return show(row);
  }

  /**
   * Sends a delivery now, whatever became of it before: same id, same body. What waits is brought forward; what had
   * used up its attempts gets one more.
   * @throws ApiError conflict when its endpoint is disabled or deleted
   */
  async retry(principal: Principal, shownId: string) {
    const id = readId('del', shownId);
    const row = await this.database.as(principal, async (tx) => {
      const found = await tx.row<{ dead: boolean }>(
        `select e.disabled_at is not null or e.deleted_at is not null as dead
         from webhook_delivery d join webhook_endpoint e on e.id = d.endpoint_id where d.id = $1`,
        [id],
      );
      if (!found) throw notFound();
      if (found.dead) throw new ApiError('conflict', 'The endpoint of this delivery is disabled or deleted.');
      // What is on its way at this moment is left alone: it is being sent already.
      await tx.run(
        `update webhook_delivery set status = 'pending', next_attempt_at = now(), delivered_at = null
         where id = $1 and (claimed_until is null or claimed_until <= now())`,
        [id],
      );
      return tx.row<DeliveryRow>(`select ${columns} from webhook_delivery where id = $1`, [id]);
    });
    if (!row) throw notFound();
    // Somebody asked for it and looks whether it comes.
    if (row.status === 'pending') await this.announce(row.id, row.attempts + 1, 0, 1);
    return show(row);
  }
}

/** @returns the ids of those that were not there before */
async function insert(tx: Transaction, scope: TenantScope, event: Message, endpointIds: string[]): Promise<string[]> {
  const rows = await tx.rows<{ id: string }>(
    `insert into webhook_delivery (id, tenant_id, endpoint_id, event_id, event_type, body, status, next_attempt_at)
     select id, $1, endpoint_id, $2, $3, $4, 'pending', now() from unnest($5::uuid[], $6::uuid[]) as made (id, endpoint_id)
     on conflict (endpoint_id, event_id) do nothing returning id`,
    [
      scope.tenantId,
      event.id,
      event.type,
      messageBody(event),
      endpointIds.map((id) => derivedId(event.id, id)),
      endpointIds,
    ],
  );
  return rows.map(({ id }) => id);
}

function show(row: DeliveryRow) {
  return {
    id: showId('del', row.id),
    /** What the receiver sees as `webhook-id`. */
    messageId: messageId(row.id),
    endpointId: showId('whe', row.endpoint_id),
    eventId: showId('evt', row.event_id),
    eventType: row.event_type,
    status: row.status,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at,
    lastStatus: row.last_status,
    lastError: row.last_error,
    lastResponse: row.last_response,
    createdAt: row.created_at,
    deliveredAt: row.delivered_at,
  };
}
