import { Injectable } from '@nestjs/common';
import { BlobClaims } from '../platform/blob-claims.js';
import { BlobStore, type ListedBlob } from '../platform/blobs.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { Sweep } from '../platform/jobs/handlers.js';

const dayMs = 24 * 3_600_000;

// Each run looks at one page, so that a large store costs a little all the time and never much: a million blobs take
// seventeen hours.
const pageSize = 1000;

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Bytes that nothing leads to: an upload that died between its bytes and its row, a removal that came between two. */
@Injectable()
export class Orphans {
  private reached: ListedBlob | null = null;

  constructor(
    private readonly database: Database,
    private readonly blobs: BlobStore,
    private readonly claims: BlobClaims,
  ) {}

  @Sweep(60_000)
  async clear(): Promise<void> {
    await this.clearBefore(new Date(Date.now() - dayMs));
  }

  /** Removes the orphans of the next page, and unfinished uploads, that are older than `before`. */
  async clearBefore(before: Date, limit = pageSize): Promise<void> {
    const page = await this.blobs.list(this.reached, limit);
    // What else somebody keeps there is none of our business.
    for (const tenantId of new Set(page.map((blob) => blob.tenantId))) {
      const old = page.filter((blob) => blob.tenantId === tenantId && blob.storedAt < before);
      if (uuid.test(tenantId) && old.length > 0)
        await this.clearTenant(
          { tenantId },
          old.map(({ hash }) => hash),
        );
    }
    this.reached = page.length < limit ? null : (page.at(-1) ?? null);
    // Last: not every server that speaks S3 can list unfinished uploads.
    await this.blobs.sweep(before);
  }

  private async clearTenant(scope: TenantScope, hashes: string[]): Promise<void> {
    const needed = await this.database.as(scope, (tx) => neededOf(tx, hashes));
    for (const hash of hashes.filter((candidate) => !needed.has(candidate)))
      await this.claims.remove(scope, hash, async (tx) => (await neededOf(tx, [hash])).has(hash));
  }
}

/** Which of these contents a document needs that is not deleted, or an article that is on its way. */
export async function neededOf(tx: Transaction, hashes: string[]): Promise<Set<string>> {
  const rows = await tx.rows<{ hash: string }>(
    `select r.content_hash as hash from revision r join document d on d.id = r.document_id
     where r.content_hash = any($1) and d.deleted_at is null
     union
     select data->>'contentHash' from event
     where type = 'article.changed' and dispatched_at is null and data->>'contentHash' = any($1)`,
    [hashes],
  );
  return new Set(rows.map(({ hash }) => hash));
}
