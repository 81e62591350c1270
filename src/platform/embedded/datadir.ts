import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { acquireLock, type Lock } from './lock.js';

/** A data directory that is ours: its real path, the lock held on it, and what to call once the engine has opened it. */
export interface DataDir {
  path: string;
  lock: Lock;
  /** The first initialisation is complete: from here on the directory holds something to lose. */
  initialised(): void;
}

/**
 * Creates the directory where needed, locks it and checks that an engine can open it. A directory left half-written by
 * our own first start (the file `<dir>.initialising` says so; nothing was acknowledged before it went) is started over.
 * @throws Error when another process uses it, or when it holds files but no database.
 */
export function claimDataDir(dir: string): DataDir {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = realpathSync(dir); // two names of one folder must meet at one lock
  const lock = acquireLock(path);
  const marker = `${path}.initialising`;
  try {
    if (existsSync(marker)) empty(path);
    const content = readdirSync(path);
    if (content.length === 0) writeFileSync(marker, '');
    else if (!isDatabase(path)) {
      throw new Error(
        `${path} holds files but no complete database (PG_VERSION or global/pg_control is missing): ` +
          'move it aside, restore a backup into it, or set DATA_DIR to another folder',
      );
    }
    return { path, lock, initialised: () => rmSync(marker, { force: true }) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function isDatabase(path: string): boolean {
  return existsSync(`${path}/PG_VERSION`) && existsSync(`${path}/global/pg_control`);
}

function empty(path: string): void {
  for (const name of readdirSync(path)) rmSync(`${path}/${name}`, { recursive: true, force: true });
}
