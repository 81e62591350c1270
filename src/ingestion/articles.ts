import { Injectable } from '@nestjs/common';
import type { Principal, Scope } from '../access/principal.js';
import type { RecordedEvent } from '../events/relay.js';
import { deleteDocument, unpublishDocument } from '../knowledge/document-changes.js';
import { findByExternalId, lockExternalId } from '../knowledge/documents.js';
import { openBase } from '../knowledge/knowledge-bases.js';
import { submit } from '../knowledge/submit.js';
import { Database, type Transaction } from '../platform/database.js';
import { newId, showId } from '../platform/ids.js';

/** What a CMS said of an article, as the webhooks room wrote it into the event `article.changed`. */
export interface ArticleChange {
  knowledgeBaseId: string;
  sourceId: string;
  externalId: string;
  action: 'published' | 'updated' | 'unpublished' | 'deleted';
  title: string | null;
  url: string | null;
  /** When the CMS says it happened: the only order that counts, whatever order the events came in. */
  updatedAt: string;
  contentHash: string | null;
  contentSize: number | null;
}

/** Applies what a CMS says. Late events never win: an article's state follows the newest `updatedAt` seen for it. */
@Injectable()
export class Articles {
  constructor(private readonly database: Database) {}

  async apply(event: RecordedEvent): Promise<void> {
    const change = event.data as unknown as ArticleChange;
    const principal = sourcePrincipal(event.tenantId, change.sourceId);
    await this.database.as(principal, async (tx) => {
      // Deleted bases have no articles; the event is done with.
      const there = await tx.row('select 1 from knowledge_base where id = $1 and deleted_at is null', [
        change.knowledgeBaseId,
      ]);
      if (!there) return;
      await lockExternalId(tx, change.knowledgeBaseId, change.externalId);
      if (await this.isLate(tx, change)) return;
      await this.carryOut(tx, principal, change, event.requestId);
    });
  }

  private async carryOut(
    tx: Transaction,
    principal: Principal,
    change: ArticleChange,
    requestId: string | null,
  ): Promise<void> {
    const base = await openBase(tx, principal, showId('kb', change.knowledgeBaseId));
    if (change.action === 'published' || change.action === 'updated') {
      if (change.contentHash === null || change.contentSize === null)
        throw new Error('an article without content was recorded');
      const content = { hash: change.contentHash, size: change.contentSize, filename: null, declaredType: null };
      await submit(tx, principal, base, {
        externalId: change.externalId,
        title: change.title ?? undefined,
        sourceUrl: change.url ?? undefined,
        sourceUpdatedAt: change.updatedAt,
        content,
        requestId,
      });
      return;
    }
    const document = await findByExternalId(tx, principal, base.id, change.externalId);
    if (!document) return this.remember(tx, base.id, change, principal);
    if (change.action === 'unpublished') await unpublishDocument(tx, principal, base.id, document.id, requestId);
    else await deleteDocument(tx, principal, base.id, document.id, { cause: 'cms', by: principal.caller, requestId });
    await tx.run('update document set source_updated_at = $2 where id = $1', [document.id, change.updatedAt]);
  }

  /** An article that was never here is gone already: marked, or a late event would bring it in after its end. */
  private async remember(
    tx: Transaction,
    baseId: string,
    change: ArticleChange,
    { tenantId }: Principal,
  ): Promise<void> {
    await tx.run(
      `insert into document (id, tenant_id, knowledge_base_id, external_id, title, title_given, title_terms, source_updated_at,
         visibility, deleted_at, purged_at)
       values ($1, $2, $3, $4, '', false, '{}/1000000000', $5, 'tenant', now(), now())`,
      [newId(), tenantId, baseId, change.externalId, change.updatedAt],
    );
  }

  /** Older than what the article says or is about to say, or not newer than its deletion. */
  private async isLate(tx: Transaction, change: ArticleChange): Promise<boolean> {
    const late = await tx.row(
      `select 1 from document d where d.knowledge_base_id = $1 and d.external_id = $2
       and (d.source_updated_at > $3::timestamptz or (d.source_updated_at = $3::timestamptz and d.deleted_at is not null)
         or exists (select from revision r where r.document_id = d.id and (r.details->>'sourceUpdatedAt')::timestamptz > $3::timestamptz))
       limit 1`,
      [change.knowledgeBaseId, change.externalId, change.updatedAt],
    );
    return late !== null;
  }
}

/** A CMS source acts for nobody: it writes the documents of its base and sees all of them. */
function sourcePrincipal(tenantId: string, sourceId: string): Principal {
  const scopes = new Set<Scope>(['documents:write', 'documents:read-all']);
  return { tenantId, caller: `cms:${sourceId}`, subject: null, groups: [], scopes, knowledgeBases: null, keyId: null };
}
