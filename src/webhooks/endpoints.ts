import { Injectable } from '@nestjs/common';
import type { Principal } from '../access/principal.js';
import { ApiError, notFound } from '../errors.js';
import { record } from '../events/outbox.js';
import { Database, type Transaction } from '../platform/database.js';
import { type Page, type PageQuery, page, startBelow } from '../platform/http/pages.js';
import { newId, readId, showId } from '../platform/ids.js';
import { OutboundClient } from '../platform/outbound.js';
import { SecretBox } from '../platform/secrets.js';
import { Deliveries } from './deliveries.js';
import { disableEndpoint, failWaiting } from './disable-endpoint.js';
import { newSecret } from './signature.js';

interface EndpointRow {
  id: string;
  url: string;
  events: string[];
  failing_since: Date | null;
  disabled_at: Date | null;
  disabled_reason: string | null;
  created_at: Date;
}

// The secrets are not among them: no statement that answers a caller reads those.
const columns = 'id, url, events, failing_since, disabled_at, disabled_reason, created_at';

/** Where a tenant's events are sent. The signing secret is shown when it is made, and never again. */
@Injectable()
export class Endpoints {
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    private readonly outbound: OutboundClient,
    private readonly deliveries: Deliveries,
  ) {}

  /** @throws ApiError url_not_allowed */
  async create(principal: Principal, wish: { url: string; events: string[] }) {
    needsWholeTenant(principal);
    await this.outbound.check(wish.url);
    const secret = newSecret();
    const row = await this.database.as(principal, (tx) =>
      tx.row<EndpointRow>(
        `insert into webhook_endpoint (id, tenant_id, url, events, secret) values ($1, $2, $3, $4, $5) returning ${columns}`,
        [newId(), principal.tenantId, wish.url, [...new Set(wish.events)], this.secrets.seal(secret)],
      ),
    );
    return { ...show(found(row)), secret };
  }

  async list(principal: Principal, query: PageQuery): Promise<Page<ReturnType<typeof show>>> {
    needsWholeTenant(principal);
    const rows = await this.database.as(principal, (tx) =>
      tx.rows<EndpointRow>(
        `select ${columns} from webhook_endpoint where deleted_at is null and id < $1 order by id desc limit $2`,
        [startBelow(query), query.limit + 1],
      ),
    );
    return page(rows, query, show);
  }

  async get(principal: Principal, shownId: string) {
    needsWholeTenant(principal);
    const id = readId('whe', shownId);
    return this.database.as(principal, async (tx) => show(await open(tx, id)));
  }

  /** @throws ApiError url_not_allowed */
  async change(principal: Principal, shownId: string, wish: { url?: string; events?: string[]; enabled?: boolean }) {
    needsWholeTenant(principal);
    const id = readId('whe', shownId);
    if (wish.url !== undefined) await this.outbound.check(wish.url);
    return this.database.as(principal, async (tx) => {
      const updated = await tx.run(
        `update webhook_endpoint set url = coalesce($2, url), events = coalesce($3, events) where id = $1 and deleted_at is null`,
        [id, wish.url ?? null, wish.events ? [...new Set(wish.events)] : null],
      );
      if (updated === 0) throw notFound();
      if (wish.enabled === false) await disableEndpoint(tx, principal, id, 'by_owner');
      if (wish.enabled === true) {
        await tx.run(
          'update webhook_endpoint set disabled_at = null, disabled_reason = null, failing_since = null where id = $1',
          [id],
        );
      }
      return show(await open(tx, id));
    });
  }

  async delete(principal: Principal, shownId: string): Promise<void> {
    needsWholeTenant(principal);
    const id = readId('whe', shownId);
    await this.database.as(principal, async (tx) => {
      const deleted = await tx.run(
        'update webhook_endpoint set deleted_at = now() where id = $1 and deleted_at is null',
        [id],
      );
      if (deleted === 0) throw notFound();
      await failWaiting(tx, id, 'endpoint_deleted');
    });
  }

  /**
   * Sends this endpoint, whatever it listens to, an event of type `webhook.test`.
   * @returns the delivery, to see what became of it
   * @throws ApiError conflict when the endpoint is disabled
   */
  async test(principal: Principal, shownId: string, requestId: string) {
    needsWholeTenant(principal);
    const id = readId('whe', shownId);
    const deliveryId = await this.database.as(principal, async (tx) => {
      if ((await open(tx, id)).disabled_at)
        throw new ApiError('conflict', 'The endpoint is disabled: enable it first.');
      const data = { endpointId: showId('whe', id) };
      const eventId = await record(tx, principal, { type: 'webhook.test', subjectId: id, data, requestId });
      return this.deliveries.insertTest(tx, principal, id, eventId);
    });
    await this.deliveries.announce(deliveryId, 1);
    return this.deliveries.get(principal, showId('del', deliveryId));
  }

  /** A new secret. For 24 hours deliveries carry the signature of the one before, too. */
  async rotateSecret(principal: Principal, shownId: string) {
    needsWholeTenant(principal);
    const id = readId('whe', shownId);
    const secret = newSecret();
    const row = await this.database.as(principal, (tx) =>
      tx.row<EndpointRow>(
        `update webhook_endpoint
         set previous_secret = secret, previous_expires_at = now() + interval '24 hours', secret = $2
         where id = $1 and deleted_at is null returning ${columns}`,
        [id, this.secrets.seal(secret)],
      ),
    );
    return { ...show(found(row)), secret };
  }
}

/**
 * An endpoint hears of every knowledge base of the tenant, so a caller that may name only some of them must not make,
 * point elsewhere or read one.
 */
export function needsWholeTenant(principal: Principal): void {
  if (principal.knowledgeBases === null) return;
  throw new ApiError(
    'forbidden',
    'Webhook endpoints hear of all knowledge bases: a caller limited to some cannot manage them.',
  );
}

async function open(tx: Transaction, id: string): Promise<EndpointRow> {
  return found(
    await tx.row<EndpointRow>(`select ${columns} from webhook_endpoint where id = $1 and deleted_at is null`, [id]),
  );
}

function found(row: EndpointRow | null): EndpointRow {
  if (!row) throw notFound();
  return row;
}

function show(row: EndpointRow) {
  return {
    id: showId('whe', row.id),
    url: row.url,
    events: row.events,
    enabled: row.disabled_at === null,
    disabledAt: row.disabled_at,
    disabledReason: row.disabled_reason,
    failingSince: row.failing_since,
    createdAt: row.created_at,
  };
}
