import { constants, createReadStream } from 'node:fs';
import { access, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { ApiError } from '../errors.js';
import { BlobStore, type ListedBlob } from './blobs.js';
import { boundary } from './boundary.js';
import { asStorageError, missing, namesIn, type StagedBlob, Staging } from './staging.js';

const incoming = 'incoming';

/** Blobs as files: written aside, synced, then renamed, so that a crash leaves a whole blob or none. */
export class DiskBlobs extends BlobStore {
  constructor(private readonly root: string) {
    super(new Staging(join(root, incoming)));
  }

  async keep(tenantId: string, { path, hash }: StagedBlob): Promise<void> {
    const folder = this.folder(tenantId, hash);
    try {
      await mkdir(folder, { recursive: true });
      await rename(path, join(folder, hash));
      await boundary('blob.renamed');
      await syncFolder(folder);
    } catch (error) {
      throw asStorageError(error);
    }
  }

  async get(tenantId: string, hash: string): Promise<Readable> {
    return createReadStream(await this.present(tenantId, hash));
  }

  async asFile<T>(tenantId: string, hash: string, use: (path: string) => Promise<T>): Promise<T> {
    return use(await this.present(tenantId, hash));
  }

  async remove(tenantId: string, hash: string): Promise<void> {
    await rm(this.path(tenantId, hash), { force: true });
  }

  async list(after: { tenantId: string; hash: string } | null, limit: number): Promise<ListedBlob[]> {
    const found: ListedBlob[] = [];
    for (const tenantId of await namesIn(this.root)) {
      if (tenantId === incoming || (after && tenantId < after.tenantId)) continue;
      const past = tenantId === after?.tenantId ? after.hash : '';
      for (const shard of await namesIn(join(this.root, tenantId))) {
        if (shard < past.slice(0, 2)) continue;
        for (const hash of await namesIn(join(this.root, tenantId, shard))) {
          if (hash <= past) continue;
          const written = await stat(join(this.root, tenantId, shard, hash)).catch(missing(null));
          if (written) found.push({ tenantId, hash, storedAt: written.mtime });
          if (found.length === limit) return found;
        }
      }
    }
    return found;
  }

  /** What is staged is on the same disk. */
  check(): Promise<void> {
    return this.staging.check();
  }

  private async present(tenantId: string, hash: string): Promise<string> {
    const path = this.path(tenantId, hash);
    if ((await access(path, constants.R_OK).catch(missing('gone'))) === 'gone') throw new ApiError('gone');
    return path;
  }

  private path(tenantId: string, hash: string): string {
    return join(this.folder(tenantId, hash), hash);
  }

  private folder(tenantId: string, hash: string): string {
    return join(this.root, tenantId, hash.slice(0, 2));
  }
}

/** A renamed file survives a power cut only once its folder is synced too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
