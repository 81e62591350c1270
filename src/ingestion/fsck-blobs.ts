import { ApiError } from '../errors.js';
import type { BlobClaims } from '../platform/blob-claims.js';
import type { BlobStore, ListedBlob } from '../platform/blobs.js';
import type { Database, TenantScope } from '../platform/database.js';
import type { Finding } from './fsck-report.js';
import { neededOf } from './orphans.js';

const pageSize = 1000;

export interface Stores {
  database: Database;
  blobs: BlobStore;
  claims: BlobClaims;
}

/**
 * Compares a tenant's bytes with the revisions that need them, page by page of the store, both in the order of their
 * hashes.
 * @param before what was stored later may be on its way to a row
 */
export async function* checkBlobs(
  scope: TenantScope,
  before: Date,
  stores: Stores,
): AsyncGenerator<{ blobs: number; findings: Finding[] }> {
  let after = '';
  for (;;) {
    const page = (await stores.blobs.list({ tenantId: scope.tenantId, hash: after }, pageSize)).filter(
      ({ tenantId }) => tenantId === scope.tenantId,
    );
    const last = page.length < pageSize ? null : (page.at(-1)?.hash ?? null);
    const findings = [
      ...(await missing(scope, page, { after, last }, stores)),
      ...(await stray(scope, page, before, stores)),
    ];
    yield { blobs: page.length, findings };
    if (last === null) return;
    after = last;
  }
}

/** What revisions need between two hashes and the page does not have. */
async function missing(
  scope: TenantScope,
  page: ListedBlob[],
  { after, last }: { after: string; last: string | null },
  { database, blobs }: Stores,
): Promise<Finding[]> {
  const needed = await database.snapshot(scope, (tx) =>
    tx.rows<{ hash: string; revision: string }>(
      `select r.content_hash as hash, min(r.id::text) as revision from revision r join document d on d.id = r.document_id
       where d.deleted_at is null and r.content_hash > $1 and ($2::text is null or r.content_hash <= $2) group by 1 order by 1`,
      [after, last],
    ),
  );
  const there = new Set(page.map(({ hash }) => hash));
  const findings: Finding[] = [];
  for (const { hash, revision } of needed) {
    if (there.has(hash) || !(await isGone(scope, hash, { blobs }))) continue;
    const still = await database.snapshot(scope, (tx) => neededOf(tx, [hash]));
    if (still.has(hash)) findings.push({ kind: 'blob_missing', where: `${hash}, which revision ${revision} needs` });
  }
  return findings;
}

async function isGone({ tenantId }: TenantScope, hash: string, { blobs }: Pick<Stores, 'blobs'>): Promise<boolean> {
  try {
    (await blobs.get(tenantId, hash)).destroy();
    return false;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'gone') return true;
    throw error;
  }
}

async function stray(
  scope: TenantScope,
  page: ListedBlob[],
  before: Date,
  { database, claims }: Stores,
): Promise<Finding[]> {
  const old = page.filter(({ storedAt }) => storedAt < before).map(({ hash }) => hash);
  const needed = await database.snapshot(scope, (tx) => neededOf(tx, old));
  // Those of a deleted document go together with its revisions, soon.
  const named = await database.snapshot(scope, (tx) =>
    tx.rows<{ hash: string }>('select content_hash as hash from revision where content_hash = any($1)', [old]),
  );
  for (const { hash } of named) needed.add(hash);
  return old
    .filter((hash) => !needed.has(hash))
    .map((hash) => ({
      kind: 'blob_stray',
      where: hash,
      mend: async () =>
        (await claims.remove(scope, hash, async (tx) => (await neededOf(tx, [hash])).has(hash))) === 'gone',
    }));
}
