import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

const background = new AsyncLocalStorage<true>();

// The longest that background work stands back for people, a time: it goes on, slowly, whatever they ask.
const longestMs = 40;

let asking = 0;
let standingBack: (() => void)[] = [];

/**
 * Runs work that nobody waits for at a screen: jobs, sweeps, the relay. Its transactions use connections of their own, and
 * on the embedded engine they wait behind people's. Marked once, where jobs and sweeps begin, since the same functions
 * (submitting a document, announcing a delivery) serve requests too. It says how urgent work is, never who is asking.
 */
export const inBackground = <T>(work: () => T): T => background.run(true, work);

export const isBackground = (): boolean => background.getStore() === true;

/** Runs work that somebody waits for; until it has ended, {@link giveWay} holds background work of this process back. */
export async function inForeground<T>(work: () => Promise<T>): Promise<T> {
  asking += 1;
  try {
    return await work();
  } finally {
    asking -= 1;
    if (asking === 0) for (const goOn of standingBack.splice(0)) goOn();
  }
}

/** Lets requests go first: returns when none of them is asking the database, or after 40 ms. */
export async function giveWay(): Promise<void> {
  await nextTurn();
  if (asking === 0) return;
  await new Promise<void>((resolve) => {
    const goOn = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      standingBack = standingBack.filter((other) => other !== goOn);
      resolve();
    }, longestMs);
    standingBack.push(goOn);
  });
}
