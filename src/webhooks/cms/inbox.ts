import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { ApiError } from '../../errors.js';
import { Database } from '../../platform/database.js';
import { newId, showId } from '../../platform/ids.js';
import { JobQueue } from '../../platform/jobs/job-queue.js';
import { LOGGER, type Logger } from '../../platform/logger.js';
import { authenticName } from './hook-signature.js';
import { readCmsEvent } from './read-cms-event-job.js';
import { type HookSource, Sources } from './sources.js';

// Verified against when there is no such source, so that its refusal takes as long as any other.
const nobodysSecret = `whsec_${randomBytes(32).toString('base64')}`;

/** One answer for every reason: which sources there are is nobody's business. */
const refused = () => new ApiError('unauthenticated', 'The signature of this hook could not be verified.');

/** What content systems sent, stored as it came before anything is done about it. */
@Injectable()
export class Inbox {
  constructor(
    private readonly database: Database,
    private readonly sources: Sources,
    private readonly queue: JobQueue,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Verifies a hook and stores its body, once: a repetition gets the id of the first.
   * @returns the event's shown id, once it is safely stored
   * @throws ApiError unauthenticated
   */
  async receive(sourceId: string, rawHeaders: string[], body: Buffer, requestId: string): Promise<string> {
    const source = await this.sources.ofHook(sourceId);
    const name = authenticName(source?.secret ?? nobodysSecret, rawHeaders, body);
    if (!source || name === null) throw refused();
    const { id, repeated } = await this.store(source, name, body);
    this.logger.info(
      { requestId, source: source.id, cmsEvent: id, repeated, bytes: body.length },
      'cms event received',
    );
    if (!repeated) await this.remind(id);
    return showId('cev', id);
  }

  private store(source: HookSource, name: string, body: Buffer): Promise<{ id: string; repeated: boolean }> {
    return this.database.as(source, async (tx) => {
      const made = await tx.row<{ id: string }>(
        `insert into cms_event (id, tenant_id, source_id, delivery_id, body) values ($1, $2, $3, $4, $5)
         on conflict (source_id, delivery_id) do nothing returning id`,
        [newId(), source.tenantId, source.id, name, body],
      );
      if (made) return { id: made.id, repeated: false };
      const first = await tx.row<{ id: string; same: boolean }>(
        'select id, body = $3 as same from cms_event where source_id = $1 and delivery_id = $2',
        [source.id, name, body],
      );
      if (!first) throw new Error('a cms event was there and is not');
      if (!first.same)
        this.logger.warn({ source: source.id, cmsEvent: first.id }, 'the same webhook-id came with another body');
      return { id: first.id, repeated: true };
    });
  }

  /** The event is stored, so it is acknowledged even when the queue cannot take the reminder: the sweep finds it. */
  private async remind(cmsEventId: string): Promise<void> {
    try {
      await this.queue.add(readCmsEvent, { cmsEventId });
    } catch (error) {
      this.logger.warn(
        { err: error, cmsEvent: cmsEventId },
        'the reminder was not queued; the sweep announces the event',
      );
    }
  }
}
