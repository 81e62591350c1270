import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { PermanentFailure } from '../../errors.js';
import { record } from '../../events/outbox.js';
import { BlobClaims } from '../../platform/blob-claims.js';
import { BlobStore } from '../../platform/blobs.js';
import { Database, type TenantScope, type Transaction } from '../../platform/database.js';
import { showId } from '../../platform/ids.js';
import { Handles, Sweep } from '../../platform/jobs/handlers.js';
import { JobQueue } from '../../platform/jobs/job-queue.js';
import type { StagedBlob } from '../../platform/staging.js';
import { type Article, readArticle } from './article.js';
import { readCmsEvent } from './read-cms-event-job.js';

interface Unhandled extends TenantScope {
  id: string;
  sourceId: string;
  knowledgeBaseId: string;
  sourceDeleted: boolean;
  body: Buffer;
}

const batch = 500;

// A character of the 1 MiB body never takes more room in UTF-8 than it took there, but for a lone surrogate's mark.
const maxBytes = 4 * 1024 * 1024;

/** From a stored hook body to `article.changed`, which the room that keeps documents acts on. */
@Injectable()
export class InboxJobs {
  constructor(
    private readonly database: Database,
    private readonly blobs: BlobStore,
    private readonly claims: BlobClaims,
    private readonly queue: JobQueue,
  ) {}

  @Handles(readCmsEvent)
  async read({ cmsEventId }: { cmsEventId: string }): Promise<void> {
    const event = await this.open(cmsEventId);
    if (!event) return; // handled already
    if (event.sourceDeleted) return this.database.as(event, async (tx) => void (await finish(tx, event.id, 'ignored')));
    try {
      const article = readArticle(event.body);
      if (article.content === null) await this.database.as(event, (tx) => apply(tx, event, article, null));
      else await this.keep(event, article, article.content);
    } catch (error) {
      if (!(error instanceof PermanentFailure)) throw error;
      await this.refuse(event, error);
    }
  }

  /** Announces what was received and not handled: the queue may have lost it. */
  @Sweep(5000)
  async announceUnhandled(): Promise<void> {
    const waiting = await this.database.onceAsSystem<{ id: string }>(
      `select id from cms_event where status = 'received' and received_at < now() - interval '5 seconds'
       order by received_at limit ${batch}`,
    );
    for (const { id } of waiting) await this.queue.add(readCmsEvent, { cmsEventId: id });
  }

  private async open(id: string): Promise<Unhandled | null> {
    const [owner] = await this.database.onceAsSystem<{ tenant_id: string }>(
      `select tenant_id from cms_event where id = $1 and status = 'received'`,
      [id],
    );
    if (!owner) return null;
    const tenantId = owner.tenant_id;
    const row = await this.database.as({ tenantId }, (tx) =>
      tx.row<{ source_id: string; knowledge_base_id: string; source_deleted: boolean; body: Buffer }>(
        `select e.source_id, s.knowledge_base_id, s.deleted_at is not null as source_deleted, e.body
         from cms_event e join cms_source s on s.id = e.source_id where e.id = $1`,
        [id],
      ),
    );
    if (!row) return null;
    const { source_id: sourceId, knowledge_base_id: knowledgeBaseId, source_deleted: sourceDeleted, body } = row;
    return { id, tenantId, sourceId, knowledgeBaseId, sourceDeleted, body };
  }

  private async keep(event: Unhandled, article: Article, content: string): Promise<void> {
    const staged = await this.blobs.stage(Readable.from([Buffer.from(content)]), maxBytes);
    try {
      await this.claims.keep(event, staged, (tx) => apply(tx, event, article, staged));
    } finally {
      await this.blobs.discard(staged);
    }
  }

  private async refuse(event: Unhandled, { code, message }: PermanentFailure): Promise<void> {
    await this.database.as(event, async (tx) => {
      if (!(await finish(tx, event.id, 'failed', code, message))) return;
      const data = { sourceId: showId('cms', event.sourceId), eventId: showId('cev', event.id), code, message };
      await record(tx, event, { type: 'cms.event.failed', subjectId: event.sourceId, data });
    });
  }
}

async function apply(tx: Transaction, event: Unhandled, article: Article, content: StagedBlob | null): Promise<void> {
  if (!(await finish(tx, event.id, 'applied'))) return;
  const { externalId, action, title, url, updatedAt } = article;
  const told = await record(tx, event, {
    type: 'article.changed',
    data: {
      knowledgeBaseId: event.knowledgeBaseId,
      sourceId: event.sourceId,
      externalId,
      action,
      title,
      url,
      updatedAt,
      contentHash: content?.hash ?? null,
      contentSize: content?.size ?? null,
      cmsEventId: event.id,
    },
  });
  // What was sent of an article goes when the article is deleted.
  await tx.run('update cms_event set article_id = $2, event_id = $3 where id = $1', [event.id, externalId, told]);
}

/** @returns false when another worker was first */
async function finish(
  tx: Transaction,
  id: string,
  status: 'applied' | 'ignored' | 'failed',
  code: string | null = null,
  message: string | null = null,
): Promise<boolean> {
  const updated = await tx.run(
    `update cms_event set status = $2, handled_at = now(), error_code = $3, error_message = $4
     where id = $1 and status = 'received'`,
    [id, status, code, message],
  );
  return updated > 0;
}
