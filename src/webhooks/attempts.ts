import { Injectable } from '@nestjs/common';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { Frees } from '../platform/jobs/handlers.js';
import { disableEndpoint } from './disable-endpoint.js';
import { waitAfter } from './retry-schedule.js';

/** An attempt that this process holds: nobody else makes it until the claim ends. */
export interface Attempt extends TenantScope {
  id: string;
  endpointId: string;
  /** 1, 2, 3 …; also what tells this claim from a later one. */
  number: number;
  url: string;
  body: string;
  /** Sealed, newest first: two while the secret is being rotated. */
  secrets: Buffer[];
}

/** What came of an attempt. `error` is a short code; null: the receiver has it. */
export interface Outcome {
  status: number | null;
  error: string | null;
  response: string | null;
  /** Seconds that the receiver asked to be left alone for. */
  retryAfter: number | null;
}

interface DueRow {
  endpoint_id: string;
  body: string;
  attempts: number;
  url: string;
  secret: Buffer;
  previous_secret: Buffer | null;
  dead: boolean;
  failing: boolean;
  on_their_way: number;
}

// One endpoint that answers slowly must not hold all the workers: it gets a few of them, and one while it is failing.
const atOnce = 4;

/** The rows behind the attempts: who makes one, and what follows from it. */
@Injectable()
export class Attempts {
  constructor(private readonly database: Database) {}

  /** Deliveries that are due and nobody's, longest overdue first. */
  due(limit: number): Promise<{ id: string; attempts: number }[]> {
    return this.database.onceAsSystem(
      `select id, attempts from webhook_delivery
       where status = 'pending' and next_attempt_at <= now() and (claimed_until is null or claimed_until <= now())
       order by next_attempt_at limit ${limit}`,
    );
  }

  /**
   * Takes the next attempt of a delivery for a minute, four times what sending may last. It is counted now: an attempt
   * that kills the process is one too.
   * @returns null when it is not due, done, somebody else's, or its endpoint is gone or busy
   */
  async claim(deliveryId: string): Promise<Attempt | null> {
    const [owner] = await this.database.onceAsSystem<{ tenant_id: string }>(
      `select tenant_id from webhook_delivery where id = $1 and status = 'pending'`,
      [deliveryId],
    );
    if (!owner) return null;
    const scope = { tenantId: owner.tenant_id };
    return this.database.as(scope, async (tx) => {
      const row = await takeDue(tx, deliveryId);
      if (!row) return null;
      if (row.dead) return end(tx, deliveryId, 'endpoint_disabled');
      if (row.on_their_way >= (row.failing ? 1 : atOnce)) return postpone(tx, deliveryId);
      await tx.run(
        `update webhook_delivery set claimed_until = now() + interval '60 seconds', attempts = attempts + 1 where id = $1`,
        [deliveryId],
      );
      const secrets = row.previous_secret ? [row.secret, row.previous_secret] : [row.secret];
      const { endpoint_id: endpointId, url, body } = row;
      return { ...scope, id: deliveryId, endpointId, number: row.attempts + 1, url, body, secrets };
    });
  }

  /** Ends every claim: what was on its way when the process died is sent again at once, under the same id. */
  @Frees()
  async freeAll(): Promise<void> {
    const claimed = `status = 'pending' and claimed_until > now()`;
    const tenants = await this.database.onceAsSystem<{ tenant_id: string }>(
      `select distinct tenant_id from webhook_delivery where ${claimed}`,
    );
    for (const { tenant_id: tenantId } of tenants) {
      await this.database.as({ tenantId }, (tx) =>
        tx.run(`update webhook_delivery set claimed_until = null where ${claimed}`),
      );
    }
  }

  /**
   * Writes down what came of an attempt, unless a later one was begun meanwhile.
   * @returns seconds until the next one; null when there is none
   */
  async settle(attempt: Attempt, outcome: Outcome): Promise<number | null> {
    return this.database.as(attempt, async (tx) => {
      if (outcome.error === null) return succeed(tx, attempt, outcome);
      const endpoint = await tx.row<{ dead: boolean; exhausted: boolean }>(
        `update webhook_endpoint set failing_since = coalesce(failing_since, now()) where id = $1
         returning disabled_at is not null or deleted_at is not null as dead,
                   failing_since <= now() - interval '120 hours' as exhausted`,
        [attempt.endpointId],
      );
      const gone = outcome.status === 410;
      const over = !endpoint || endpoint.dead || endpoint.exhausted || gone;
      const wait = over ? null : waitAfter(attempt.number, outcome.retryAfter);
      const settled = await fail(tx, attempt, outcome, wait);
      if (gone || endpoint?.exhausted)
        await disableEndpoint(tx, attempt, attempt.endpointId, gone ? 'gone' : 'failing');
      return settled ? wait : null;
    });
  }
}

function takeDue(tx: Transaction, id: string): Promise<DueRow | null> {
  return tx.row<DueRow>(
    `select d.endpoint_id, d.body, d.attempts, e.url, e.secret,
            case when e.previous_expires_at > now() then e.previous_secret end as previous_secret,
            e.disabled_at is not null or e.deleted_at is not null as dead,
            e.failing_since is not null as failing,
            (select count(*)::int from webhook_delivery o
             where o.endpoint_id = d.endpoint_id and o.status = 'pending' and o.claimed_until > now()) as on_their_way
     from webhook_delivery d join webhook_endpoint e on e.id = d.endpoint_id
     where d.id = $1 and d.status = 'pending' and d.next_attempt_at <= now()
       and (d.claimed_until is null or d.claimed_until <= now())
     for update of d skip locked`,
    [id],
  );
}

async function end(tx: Transaction, id: string, error: string): Promise<null> {
  await tx.run(
    `update webhook_delivery set status = 'failed', last_error = $2, next_attempt_at = null, claimed_until = null where id = $1`,
    [id, error],
  );
  return null;
}

/** To the back of the line, not counted as an attempt: other endpoints' deliveries are in front of it now. */
async function postpone(tx: Transaction, id: string): Promise<null> {
  await tx.run(
    `update webhook_delivery set next_attempt_at = now() + make_interval(secs => 1 + 4 * random()) where id = $1`,
    [id],
  );
  return null;
}

async function succeed(tx: Transaction, attempt: Attempt, outcome: Outcome): Promise<null> {
  await tx.run('update webhook_endpoint set failing_since = null where id = $1 and failing_since is not null', [
    attempt.endpointId,
  ]);
  // Also over a later attempt's claim: the receiver has it, whoever brought it.
  await tx.run(
    `update webhook_delivery set status = 'delivered', delivered_at = now(), next_attempt_at = null, claimed_until = null,
       last_status = $2, last_error = null, last_response = $3
     where id = $1 and status <> 'delivered'`,
    [attempt.id, outcome.status, outcome.response],
  );
  return null;
}

/** @returns whether this attempt was still the latest one */
async function fail(tx: Transaction, attempt: Attempt, outcome: Outcome, wait: number | null): Promise<boolean> {
  const updated = await tx.run(
    `update webhook_delivery set status = $3, claimed_until = null, last_status = $4, last_error = $5, last_response = $6,
       next_attempt_at = now() + make_interval(secs => $7)
     where id = $1 and attempts = $2 and status = 'pending'`,
    [
      attempt.id,
      attempt.number,
      wait === null ? 'failed' : 'pending',
      outcome.status,
      outcome.error,
      outcome.response,
      wait,
    ],
  );
  return updated > 0;
}
