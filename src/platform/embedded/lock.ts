import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { mayBeAlive, type ProcessIdentity, thisProcess } from '../process-identity.js';

/** Who holds a data directory. `id` tells two locks of one process apart. */
interface Owner extends ProcessIdentity {
  id: string;
  host: string;
  since: string;
}

/** A held lock. `release()` removes the file if it is still this lock's own, and may be called twice. */
export interface Lock {
  file: string;
  release(): void;
}

/**
 * Takes the lock of a data directory: the file `<dir>.lock` beside it (`initdb` wants the directory itself empty).
 * Two processes on one directory both start and then lose each other's rows without a word, so the lock of a process
 * that is alive, or that can't be looked at because it runs on another host, is never taken.
 * @throws Error naming the owner's pid, since when it runs, and what to do.
 */
export function acquireLock(dir: string): Lock {
  const file = `${dir}.lock`;
  const mine = { id: randomUUID(), ...thisProcess, host: hostname() };
  take(file, { ...mine, since: new Date().toISOString() }, dir);
  return {
    file,
    release: () => {
      if (ownerOf(file)?.id === mine.id) rmSync(file, { force: true });
    },
  };
}

function take(file: string, me: Owner, dir: string): void {
  const draft = `${file}.${me.id}`;
  writeFileSync(draft, JSON.stringify(me), { flag: 'wx' });
  try {
    while (!placed(draft, file)) {
      const owner = ownerOf(file);
      if (!owner) continue; // released between the two calls
      if (owner.host !== hostname() || mayBeAlive(owner)) throw new Error(refusal(owner, file, dir));
      replace(draft, file, owner, me, dir);
      if (ownerOf(file)?.id === me.id) return;
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Puts the finished file in its place at once, or not at all: nobody ever reads half a lock. */
function placed(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Takes over from a dead owner. Only the process that holds the lock named after that very owner may replace its file:
 * without it, of two that found the owner dead, the slower would replace the faster one's new lock.
 */
function replace(draft: string, file: string, dead: Owner, me: Owner, dir: string): void {
  const guard = `${file}.${dead.id}.takeover`;
  take(guard, { ...me, id: randomUUID() }, dir);
  try {
    if (ownerOf(file)?.id === dead.id) renameSync(draft, file);
  } finally {
    rmSync(guard, { force: true });
  }
}

function ownerOf(file: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Owner;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`the lock file ${file} can't be read: if no Lectern is running, delete it`, { cause: error });
  }
}

function refusal({ pid, host, since }: Owner, file: string, dir: string): string {
  const who = `another Lectern (pid ${pid}, since ${since}) is using the data directory ${dir}`;
  if (host === hostname()) return `${who}: stop it, or set DATA_DIR`;
  return `${who} from host ${host}: stop it, or set DATA_DIR; if that host is gone for good, delete ${file}`;
}
