import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** How pressing background work is. */
type Pressing = 'usual' | 'soon';

const background = new AsyncLocalStorage<Pressing>();

// The longest that background work stands back for others, a time: it goes on, slowly, whatever they ask.
const longestMs = 40;

/** How many transactions of each kind there are, for which others stand back. */
const running = { people: 0, soon: 0 };
const standingBack = new Set<{ mayGo: () => boolean; go: () => void }>();

/**
 * Runs work that nobody waits for at a screen: jobs, sweeps, the relay. Its transactions use connections of their own, and
 * on the embedded engine they wait behind people's. Marked once, where jobs and sweeps begin, since the same functions
 * (submitting a document, announcing a delivery) serve requests too. It says how urgent work is, never who is asking.
 */
export const inBackground = <T>(work: () => T): T => background.run('usual', work);

/** Runs background work that is soon done, and that somebody may be waiting for: other background work stands back for it. */
export const soon = <T>(work: () => T): T => background.run('soon', work);

export const isBackground = (): boolean => background.getStore() !== undefined;

/** Runs a transaction when it is its turn. While it runs, those that are less pressing stand back in {@link giveWay}. */
export async function inLane<T>(transaction: () => Promise<T>): Promise<T> {
  const pressing = background.getStore();
  if (pressing) await giveWay();
  return pressing === 'usual' ? transaction() : counted(pressing ?? 'people', transaction);
}

/** Lets what is more pressing go first: returns when nothing of it is asking the database, or after 40 ms. */
export async function giveWay(): Promise<void> {
  const pressing = background.getStore();
  const mayGo = () => running.people === 0 && (pressing !== 'usual' || running.soon === 0);
  await nextTurn();
  if (mayGo()) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      clearTimeout(timer);
      standingBack.delete(waiting);
      resolve();
    };
    const waiting = { mayGo, go };
    const timer = setTimeout(go, longestMs);
    standingBack.add(waiting);
  });
}

async function counted<T>(kind: keyof typeof running, work: () => Promise<T>): Promise<T> {
  running[kind] += 1;
  try {
    return await work();
  } finally {
    running[kind] -= 1;
    for (const { mayGo, go } of standingBack) if (mayGo()) go();
  }
}
