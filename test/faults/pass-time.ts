import { Redis } from 'ioredis';
import { Client } from 'pg';

/** What a process on native engines is told of them. */
export interface Engines {
  DATABASE_URL: string;
  REDIS_URL?: string;
  REDIS_PREFIX?: string;
}

/**
 * Lets the time pass that a dead process's leases and claims still last: 90, 60 and 30 seconds. The queue is thrown away
 * with them, for its own locks last as long and stand in the way of new jobs: what is due stands in the database.
 */
export async function passTime(engines: Engines): Promise<void> {
  const client = new Client({ connectionString: engines.DATABASE_URL });
  await client.connect();
  await client.query('update revision set lease_expires_at = now() where lease_expires_at > now()');
  await client.query('update reindex set lease_expires_at = now() where lease_expires_at > now()');
  await client.query('update event set claimed_until = null where dispatched_at is null');
  await client.query('update webhook_delivery set claimed_until = now() where claimed_until > now()');
  if (!engines.REDIS_URL) await client.query('truncate bullmq.job cascade');
  await client.end();
  if (engines.REDIS_URL) await forget(engines.REDIS_URL, engines.REDIS_PREFIX ?? '');
}

async function forget(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url);
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 }))
    if (keys.length > 0) await redis.del(...(keys as string[]));
  redis.disconnect();
}
