import type { Readable } from 'node:stream';
import type { StagedBlob, Staging } from './staging.js';

/** A blob as a listing shows it. */
export interface ListedBlob {
  tenantId: string;
  hash: string;
  storedAt: Date;
}

/**
 * Bytes by content hash, a folder a tenant: the same bytes of two tenants are two blobs, so that neither can learn what
 * the other has. An upload is staged in a local file first, which gives its hash, and kept under that hash once it is
 * accepted: what a client breaks off, sends too large or with bad fields never reaches the store, an object appears
 * whole under its final name, and whatever fails on the way there can be tried again. Who keeps and who removes meet in
 * `blob-claims.ts`. Every engine passes `test/contract/blobs.test.ts`.
 */
export abstract class BlobStore {
  constructor(protected readonly staging: Staging) {}

  /**
   * Takes a stream in, without storing it yet: {@link keep} or {@link discard} it.
   * @throws ApiError payload_too_large past `maxBytes`, storage_full when there is no room; nothing is left behind
   */
  stage(content: Readable, maxBytes: number): Promise<StagedBlob> {
    return this.staging.write(content, maxBytes);
  }

  discard(staged: StagedBlob): Promise<void> {
    return this.staging.discard(staged);
  }

  /**
   * Stores staged bytes under their hash; they are there wholly or not at all, also when it is done twice at once.
   * @throws ApiError storage_full, unavailable
   */
  abstract keep(tenantId: string, staged: StagedBlob): Promise<void>;

  /** @throws ApiError gone when there is no such blob, unavailable */
  abstract get(tenantId: string, hash: string): Promise<Readable>;

  /** Makes the blob readable as a local file while `use` runs: parsers read files, not streams. Throws as `get` does. */
  abstract asFile<T>(tenantId: string, hash: string, use: (path: string) => Promise<T>): Promise<T>;

  /** Removing what is not there is no error. @throws ApiError unavailable */
  abstract remove(tenantId: string, hash: string): Promise<void>;

  /** One page of all tenants' blobs, in one unchanging order, after the one given. */
  abstract list(after: Pick<ListedBlob, 'tenantId' | 'hash'> | null, limit: number): Promise<ListedBlob[]>;

  /** Frees what was begun before `before` and never ended, because its process died. @returns how many */
  sweep(before: Date): Promise<number> {
    return this.staging.sweep(before);
  }

  /** @throws Error when the store cannot be written to right now */
  abstract check(): Promise<void>;
}
