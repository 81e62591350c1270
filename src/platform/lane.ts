import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** How pressing background work is. */
type Pressing = 'usual' | 'soon';

const background = new AsyncLocalStorage<Pressing>();

// The longest that background work stands back for others, a time: it goes on, slowly, whatever they ask.
const longestMs = 100;
// A question is asked in several transactions, and others follow it. A bulk load that went on at once with what it had put
// off would be in their way (native, two cores, 20 questions a second: p95 1.75 times that of an idle service, 1.2 so; a
// third as many documents meanwhile).
const lingerMs = 40;

/** How many transactions of each kind there are, for which others stand back. */
const running = { people: 0, soon: 0 };
let lastAsked = -Infinity;
const standingBack = new Set<() => void>();

/**
 * Runs work that nobody waits for at a screen: jobs, sweeps, the relay. Its transactions use connections of their own, and
 * on the embedded engine they wait behind people's. Marked once, where jobs and sweeps begin, since the same functions
 * (submitting a document, announcing a delivery) serve requests too. It says how urgent work is, never who is asking.
 * Within what is {@link soon} done, it stays so.
 */
export const inBackground = <T>(work: () => T): T => background.run(background.getStore() ?? 'usual', work);

/** Runs background work that is soon done, and that somebody may be waiting for: other background work stands back for it. */
export const soon = <T>(work: () => T): T => background.run('soon', work);

export const isBackground = (): boolean => background.getStore() !== undefined;

/**
 * Runs a transaction when it is its turn. While it runs, those that are less pressing stand back in {@link giveWay}.
 * @param asks whether it belongs to a question, if somebody waits for it: the least pressing stand back a little longer
 */
export async function inLane<T>(transaction: () => Promise<T>, asks = false): Promise<T> {
  const pressing = background.getStore();
  if (pressing) await giveWay();
  if (pressing === 'usual') return transaction();
  const kind = pressing ?? 'people';
  running[kind] += 1;
  try {
    return await transaction();
  } finally {
    running[kind] -= 1;
    if (asks && kind === 'people') lastAsked = performance.now();
    for (const look of standingBack) look();
  }
}

/**
 * Lets what is more pressing go first: returns when nothing of it is asking the database, or after 100 ms. What is not even
 * {@link soon} done lets 40 ms pass after a question, too.
 */
export async function giveWay(): Promise<void> {
  const pressing = background.getStore();
  await nextTurn();
  const end = performance.now() + longestMs;
  for (;;) {
    const now = performance.now();
    const waitMs = Math.min(
      end - now,
      pressing === 'soon' ? busyMs('people') : Math.max(busyMs('people', 'soon'), lastAsked + lingerMs - now),
    );
    if (waitMs <= 0) return;
    await changed(waitMs);
  }
}

const busyMs = (...kinds: (keyof typeof running)[]): number => (kinds.some((kind) => running[kind] > 0) ? Infinity : 0);

/** Returns when a transaction ended, or after so long. */
async function changed(waitMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = () => {
      clearTimeout(timer);
      standingBack.delete(look);
      resolve();
    };
    const timer = setTimeout(look, Math.ceil(waitMs));
    standingBack.add(look);
  });
}
