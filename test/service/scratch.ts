import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { databasePrefix, templateDatabase } from './template.js';

export type Scratch = NonNullable<Awaited<ReturnType<typeof scratchDatabase>>>;

/**
 * A database of its own on the server that DATABASE_URL names; null on the embedded engine. Apart from the harness, which
 * brings the whole service and with it every job that must have a handler.
 * @param blank without the tables that every start would make
 */
export async function scratchDatabase({ blank = false } = {}) {
  const server = process.env['DATABASE_URL'];
  if (!server) return null;
  const name = `${databasePrefix()}_${randomUUID().replaceAll('-', '')}`;
  await onServer(server, `create database ${name} template ${blank ? 'template1' : templateDatabase()}`);
  const drop = () => onServer(server, `drop database ${name} with (force)`);
  return { name, url: databaseUrl(server, name), drop };
}

export function databaseUrl(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

export async function onServer<Row extends object>(server: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
