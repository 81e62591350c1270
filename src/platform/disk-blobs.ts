import { createHash, randomUUID } from 'node:crypto';
import { constants, createReadStream, createWriteStream } from 'node:fs';
import { access, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError } from '../errors.js';
import { BlobStore, type StoredBlob } from './blobs.js';
import { boundary } from './boundary.js';

/** Blobs as files: written aside, synced, then renamed, so that a crash leaves a whole blob or none. */
export class DiskBlobs extends BlobStore {
  constructor(private readonly root: string) {
    super();
  }

  async put(tenantId: string, content: Readable, maxBytes: number): Promise<StoredBlob> {
    const aside = join(this.root, 'incoming');
    const temporary = join(aside, randomUUID());
    const hash = createHash('sha256');
    let size = 0;
    const measure = new Transform({
      transform(part: Buffer, _encoding, done) {
        size += part.length;
        hash.update(part);
        void boundary('blob.writing');
        done(
          size > maxBytes ? new ApiError('payload_too_large', `A file may have ${maxBytes} bytes at most.`) : null,
          part,
        );
      },
    });
    try {
      await mkdir(aside, { recursive: true });
      await pipeline(content, measure, createWriteStream(temporary, { flags: 'wx', flush: true }));
      const name = hash.digest('hex');
      const folder = this.folder(tenantId, name);
      await mkdir(folder, { recursive: true });
      await rename(temporary, join(folder, name));
      await boundary('blob.renamed');
      await syncFolder(folder);
      return { hash: name, size };
    } catch (error) {
      await rm(temporary, { force: true });
      throw (error as NodeJS.ErrnoException).code === 'ENOSPC'
        ? new ApiError('storage_full', undefined, [], { cause: error })
        : error;
    }
  }

  async has(tenantId: string, hash: string): Promise<boolean> {
    return access(this.path(tenantId, hash)).then(
      () => true,
      () => false,
    );
  }

  async get(tenantId: string, hash: string): Promise<Readable> {
    const path = this.path(tenantId, hash);
    await access(path, constants.R_OK);
    return createReadStream(path);
  }

  asFile<T>(tenantId: string, hash: string, use: (path: string) => Promise<T>): Promise<T> {
    return use(this.path(tenantId, hash));
  }

  async remove(tenantId: string, hash: string): Promise<void> {
    await rm(this.path(tenantId, hash), { force: true });
  }

  async check(): Promise<void> {
    await mkdir(this.root, { recursive: true });
    await access(this.root, constants.W_OK);
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
