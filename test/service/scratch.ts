import { randomUUID } from 'node:crypto';
import { Client } from 'pg';

export type Scratch = NonNullable<Awaited<ReturnType<typeof scratchDatabase>>>;

/**
 * A database of its own on the server that DATABASE_URL names; null on the embedded engine. Apart from the harness, which
 * brings the whole service and with it every job that must have a handler.
 */
export async function scratchDatabase() {
  const server = process.env['DATABASE_URL'];
  if (!server) return null;
  const name = `lectern_test_${randomUUID().replaceAll('-', '')}`;
  const run = async (sql: string) => {
    const client = new Client({ connectionString: server });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  await run(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { name, url: url.href, drop: () => run(`drop database ${name} with (force)`) };
}
