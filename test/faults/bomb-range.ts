import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, readConfig } from '../../src/config.js';
import { PermanentFailure } from '../../src/errors.js';
import { ParserPool } from '../../src/ingestion/parsers/parser-pool.js';

export const { bounds } = readConfig({}).parser;

/** Time for what takes all it gets: how it ends is tested, not when. */
export const shortly = { timeoutMs: 6_000 };

/** Where bombs go off: a pool with its own settings, time enough on a full machine, and a folder for the files. */
export async function openRange(settings: Partial<Config['parser']> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'lectern-bombs-'));
  const pool = new ParserPool({ ...readConfig({}).parser, timeoutMs: 60_000, ...settings });

  const read = async (name: string, bytes: Buffer | string, owner = 'somebody') => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    return pool.parse(path, { filename: name, declared: null }, { owner });
  };

  return {
    folder,
    read,
    /** What the file ends as: the code of its failure, or `text`. Any other error is thrown. */
    endOf: async (name: string, bytes: Buffer | string): Promise<string> => {
      try {
        await read(name, bytes);
        return 'text';
      } catch (error) {
        if (error instanceof PermanentFailure) return error.code;
        throw error;
      }
    },
    textOf: async (name: string, bytes: Buffer | string) => (await read(name, bytes)).parsed.text,
    close: async () => {
      await pool.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export type Range = Awaited<ReturnType<typeof openRange>>;
