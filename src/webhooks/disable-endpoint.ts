import { record } from '../events/outbox.js';
import type { TenantScope, Transaction } from '../platform/database.js';
import { showId } from '../platform/ids.js';

/**
 * Why an endpoint is sent nothing: its owner said so, it answered 410, or nothing but failures came from it for 120 hours.
 */
export type DisabledReason = 'by_owner' | 'gone' | 'failing';

/**
 * Sends an endpoint nothing from now on, and says so. What waits for it fails with a name, and can be retried by hand
 * once it is enabled again; what is on its way just now is left to its own end.
 *
 * The endpoint's row is taken before its deliveries', here and everywhere: the other order would deadlock.
 */
export async function disableEndpoint(
  tx: Transaction,
  scope: TenantScope,
  id: string,
  reason: DisabledReason,
): Promise<void> {
  const disabled = await tx.run(
    `update webhook_endpoint set disabled_at = now(), disabled_reason = $2
     where id = $1 and disabled_at is null and deleted_at is null`,
    [id, reason],
  );
  if (disabled === 0) return;
  await failWaiting(tx, id, 'endpoint_disabled');
  await record(tx, scope, {
    type: 'webhook.endpoint.disabled',
    subjectId: id,
    data: { endpointId: showId('whe', id), reason },
  });
}

/** Ends the deliveries of an endpoint that wait and are not on their way. */
export async function failWaiting(tx: Transaction, endpointId: string, error: string): Promise<void> {
  await tx.run(
    `update webhook_delivery set status = 'failed', last_error = $2, next_attempt_at = null, claimed_until = null
     where endpoint_id = $1 and status = 'pending' and (claimed_until is null or claimed_until <= now())`,
    [endpointId, error],
  );
}
