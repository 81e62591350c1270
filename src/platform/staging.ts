import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError } from '../errors.js';
import { boundary } from './boundary.js';

/** Bytes in a local file of their own, with the hash they had while they were written. */
export interface StagedBlob {
  path: string;
  /** SHA-256 of the content, hex: the blob's name. */
  hash: string;
  size: number;
}

/** A folder in which streams become files, each under a name of its own. */
export class Staging {
  constructor(private readonly folder: string) {}

  /** @throws ApiError payload_too_large past `maxBytes`, storage_full when the disk is; nothing is left behind */
  async write(content: Readable, maxBytes: number): Promise<StagedBlob> {
    const path = join(this.folder, randomUUID());
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
    // It may break off while the folder is made; the pipeline then finds it broken. Unheard, it would end the process.
    content.on('error', () => undefined);
    try {
      await mkdir(this.folder, { recursive: true });
      const file = createWriteStream(path, { flags: 'wx', flush: true });
      const closed = new Promise<void>((resolve) => file.once('close', () => resolve()));
      await pipeline(content, measure, file).catch(async (error: unknown) => {
        // A file that is still being made when its content breaks off would be there after its removal.
        await closed;
        await rm(path, { force: true });
        throw error;
      });
      return { path, hash: hash.digest('hex'), size };
    } catch (error) {
      content.destroy(); // when no folder could be made, nobody has read it
      throw asStorageError(error);
    }
  }

  /** Writes a byte: a folder may allow writing and its disk have no room. @throws when it cannot */
  async check(): Promise<void> {
    const probe = join(this.folder, `check-${randomUUID()}`);
    await mkdir(this.folder, { recursive: true });
    try {
      await writeFile(probe, 'x');
    } finally {
      await rm(probe, { force: true });
    }
  }

  async discard({ path }: StagedBlob): Promise<void> {
    await rm(path, { force: true });
  }

  /** Removes what was last written to before `before`. @returns how many files */
  async sweep(before: Date): Promise<number> {
    let removed = 0;
    for (const name of await namesIn(this.folder)) {
      const path = join(this.folder, name);
      const written = await stat(path).catch(missing(null));
      if (!written || written.mtime >= before) continue;
      await rm(path, { force: true });
      removed++;
    }
    return removed;
  }
}

/** What a folder holds, in order; nothing when there is none. */
export async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(missing<string[]>([]))).sort();
}

/** For what another process may just have removed. */
export const missing =
  <T>(instead: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return instead;
    throw error;
  };

/** A full disk, or a used-up quota, is a matter of room and not an accident. */
export function asStorageError(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' ? new ApiError('storage_full', undefined, [], { cause: error }) : error;
}
