import { Inject, Injectable } from '@nestjs/common';
import { Relay, type RecordedEvent } from '../events/relay.js';
import { isPublic } from '../events/catalogue.js';
import { boundary } from '../platform/boundary.js';
import { Handles, Sweep } from '../platform/jobs/handlers.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { OutboundClient } from '../platform/outbound.js';
import { SecretBox } from '../platform/secrets.js';
import { Attempts } from './attempts.js';
import { deliver } from './deliver-job.js';
import { Deliveries } from './deliveries.js';
import { send } from './send.js';

const batch = 500;

// The queue keeps a reminder only for the next minute: a job that waits for hours would hide a retry by hand, which has
// the same key. Later attempts are found by the sweep.
const remindedSeconds = 60;

/** Events to the endpoints that listen: one delivery each, sent until it arrives or its attempts are used up. */
@Injectable()
export class DeliveryJobs {
  constructor(
    relay: Relay,
    private readonly deliveries: Deliveries,
    private readonly attempts: Attempts,
    private readonly outbound: OutboundClient,
    private readonly secrets: SecretBox,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    relay.subscribe('*', (event) => this.tell(event));
  }

  /** `webhook.test` is none of the public events: its one delivery is made with it. */
  async tell(event: RecordedEvent): Promise<void> {
    if (!isPublic(event.type)) return;
    for (const { id, waiting } of await this.deliveries.fanOut(event, event)) {
      await this.deliveries.announce(id, 1, 0, waiting);
    }
  }

  @Handles(deliver)
  async deliver({ deliveryId }: { deliveryId: string; attempt: number }): Promise<void> {
    const attempt = await this.attempts.claim(deliveryId);
    if (!attempt) return; // early, done, or somebody else's
    const started = performance.now();
    await boundary('delivery.claimed', deliveryId);
    const outcome = await send(attempt, this.outbound, this.secrets);
    await boundary('delivery.sent', deliveryId);
    const wait = await this.attempts.settle(attempt, outcome);
    this.logger.info(
      {
        delivery: deliveryId,
        endpoint: attempt.endpointId,
        attempt: attempt.number,
        status: outcome.status,
        error: outcome.error,
        retryInSeconds: wait === null ? null : Math.round(wait),
        ms: Math.round(performance.now() - started),
      },
      'webhook delivery',
    );
    // Whole milliseconds: BullMQ's PostgreSQL backend refuses a fraction.
    if (wait !== null && wait <= remindedSeconds)
      await this.deliveries.announce(deliveryId, attempt.number + 1, Math.ceil(wait * 1000));
  }

  /** Announces what is due: later attempts, what a dead worker had claimed, and whatever the queue lost. */
  @Sweep(5000)
  async announceDue(): Promise<void> {
    for (const { id, attempts } of await this.attempts.due(batch)) await this.deliveries.announce(id, attempts + 1);
  }
}
