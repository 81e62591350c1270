import type { Readable } from 'node:stream';
import type { Transaction } from './database.js';

export interface StoredBlob {
  /** SHA-256 of the content, hex: the blob's name. */
  hash: string;
  size: number;
}

/**
 * Bytes by content hash, a folder a tenant: the same bytes of two tenants are two blobs, so that neither can learn what
 * the other has. Every engine passes `test/contract/blobs.test.ts`.
 */
export abstract class BlobStore {
  /**
   * Stores a stream; the blob exists only once all of it is safely written.
   * @throws ApiError payload_too_large past `maxBytes`, storage_full when there is no room; nothing is left behind
   */
  abstract put(tenantId: string, content: Readable, maxBytes: number): Promise<StoredBlob>;

  abstract has(tenantId: string, hash: string): Promise<boolean>;

  /** @throws Error when there is no such blob */
  abstract get(tenantId: string, hash: string): Promise<Readable>;

  /** Makes the blob readable as a local file while `use` runs: parsers read files, not streams. */
  abstract asFile<T>(tenantId: string, hash: string, use: (path: string) => Promise<T>): Promise<T>;

  /** Removing what is not there is no error. */
  abstract remove(tenantId: string, hash: string): Promise<void>;

  /** @throws Error when the store cannot be written to right now */
  abstract check(): Promise<void>;
}

/**
 * Held until the transaction ends: whoever makes a row that needs these bytes, and whoever removes them because no row
 * does, wait for one another.
 */
export async function lockContent(tx: Transaction, tenantId: string, hash: string): Promise<void> {
  await tx.run('select pg_advisory_xact_lock(hashtextextended($1, 1))', [`${tenantId} ${hash}`]);
}
