import { AsyncLocalStorage } from 'node:async_hooks';

const background = new AsyncLocalStorage<true>();

/**
 * Runs work that nobody waits for at a screen: jobs, sweeps, the relay. Its transactions use connections of their own, and
 * on the embedded engine they wait behind people's. Marked once, where jobs and sweeps begin, since the same functions
 * (submitting a document, announcing a delivery) serve requests too. It says how urgent work is, never who is asking.
 */
export const inBackground = <T>(work: () => T): T => background.run(true, work);

export const isBackground = (): boolean => background.getStore() === true;
