import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../logger.js';
import type { Pool } from '../pool.js';

/** What NOTIFY is heard for, and what hears it. */
export interface Listening {
  channels: readonly string[];
  heard: (channel: string) => void;
  /** Aborted, the connection is given back and no other is taken. */
  signal: AbortSignal;
}

const pauseMs = 1000;

/**
 * Holds one connection of the pool that listens, until the signal: one that breaks is replaced after a second. Until then
 * nobody listens, so every channel counts as heard once somebody does.
 */
export async function keepListening(pool: Pool, listening: Listening, logger: Logger): Promise<void> {
  const { signal } = listening;
  while (!signal.aborted) {
    await listenUntilLost(pool, listening).catch((error: Error) => {
      if (!signal.aborted) logger.warn({ err: error }, 'nothing listens for notifications; trying again');
    });
    await pause(pauseMs, undefined, { ref: false, signal }).catch(() => undefined);
  }
}

/** @throws Error always: why it does not listen any more */
async function listenUntilLost(pool: Pool, { channels, heard, signal }: Listening): Promise<void> {
  const client = await pool.connect();
  try {
    const lost = once(client, 'error', { signal }).then(([error]) => Promise.reject(error as Error));
    const listen = async () => {
      client.on('notification', ({ channel }) => heard(channel));
      for (const channel of channels) await client.query(`listen ${channel}`);
      channels.forEach(heard);
      await lost;
    };
    await Promise.race([lost, listen()]);
  } finally {
    client.release(true);
  }
}
