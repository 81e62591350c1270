import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
          'restore a backup into it, set DATA_DIR to another folder, or start once with --move-aside to begin with an empty ' +
          'database and keep these files beside it',
      );
    }
    return { path, lock, initialised: () => rmSync(marker, { force: true }) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * Puts files that are no database out of the way, so that the next start makes an empty one: for the person who has been
 * told of them, never by itself.
 * @returns where they are now; null when there was nothing to move
 * @throws Error when another process uses the directory, or when there is a database in it
 */
export function moveAside(dir: string): string | null {
  if (!existsSync(dir)) return null;
  const path = realpathSync(dir);
  const lock = acquireLock(path);
  try {
    if (readdirSync(path).length === 0) return null;
    if (isDatabase(path)) throw new Error(`${path} holds a database: it is not moved`);
    const aside = `${path}.aside-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
    renameSync(path, aside);
    return aside;
  } finally {
    lock.release();
  }
}

function isDatabase(path: string): boolean {
  return existsSync(`${path}/PG_VERSION`) && existsSync(`${path}/global/pg_control`);
}

function empty(path: string): void {
  for (const name of readdirSync(path)) rmSync(`${path}/${name}`, { recursive: true, force: true });
}
