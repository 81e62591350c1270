import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as pause } from 'node:timers/promises';
import type { Crossing } from '../../src/platform/boundary.js';
import type { Service } from '../service/harness.js';

/**
 * Whenever this process comes to a boundary, does something there, and goes on when it is done, or fails with it.
 * @returns what ends this
 */
export function every(name: string, deed: () => Promise<unknown>): () => void {
  const listen = (message: unknown) => {
    const crossing = message as Crossing;
    if (crossing.name === name) crossing.hold(deed());
  };
  subscribe('lectern.boundary', listen);
  return () => void unsubscribe('lectern.boundary', listen);
}

/** The same, the first time only. */
export function once(name: string, deed: () => Promise<unknown>): void {
  const stop = every(name, () => {
    stop();
    return deed();
  });
}

/** Whether two transactions can be open at once here: the embedded engine runs one after the other. */
export const concurrent = process.env['DATABASE_URL'] !== undefined;

/**
 * In the middle of a transaction, waits until another one has run into its locks, or has ended without. On the embedded
 * engine nothing else runs before this one ends, so there is nothing to wait for.
 */
export async function untilBlocked(service: Service, other: Promise<unknown>): Promise<void> {
  if (!concurrent) return;
  const state = { ended: false };
  const end = () => (state.ended = true);
  void other.then(end, end);
  const sql = `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  while (!state.ended) {
    const row = await service.database().asOwner((tx) => tx.row<{ n: number }>(sql));
    if ((row?.n ?? 0) > 0) return;
    await pause(10);
  }
}

/** How many transactions of this database were cut to end a deadlock. */
export async function deadlocks(service: Service): Promise<number> {
  const sql = 'select deadlocks::int as n from pg_stat_database where datname = current_database()';
  const row = await service.database().asOwner(async (tx) => {
    await tx.run('select pg_stat_clear_snapshot()');
    return tx.row<{ n: number }>(sql);
  });
  return row?.n ?? 0;
}
