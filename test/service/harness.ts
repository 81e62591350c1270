import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { Tenants } from '../../src/access/tenants.js';
import { createApp, stopApp } from '../../src/app.module.js';
import { readConfig } from '../../src/config.js';
import { Database } from '../../src/platform/database.js';
import { JobRunner } from '../../src/platform/jobs/job-runner.js';
import { template } from './template.js';

export interface Answer {
  status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read what came, field by field
  body: any;
  headers: Headers;
  text: string;
}

export interface CallOptions {
  body?: unknown;
  form?: FormData;
  /** An API key or token; null: none; absent: the first key of the tenant. */
  key?: string | null;
  headers?: Record<string, string>;
}

export type Service = Awaited<ReturnType<typeof startService>>;

export const adminKey = 'an-admin-key-for-the-tests';

/**
 * The real service over HTTP on a real database: the embedded one, started from a copy of one that was migrated once, or
 * a scratch database on the server that DATABASE_URL names; likewise its files. The queue stands still until `settle` steps it.
 */
export async function startService(options: { env?: Record<string, string> } = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'lectern-service-'));
  const scratch = await scratchDatabase();
  if (!scratch) await cp(await template(), join(dataDir, 'database'), { recursive: true });
  const config = readConfig({
    DATA_DIR: dataDir,
    PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'silent',
    ADMIN_API_KEY: adminKey,
    ...s3Settings(),
    ...(scratch ? { DATABASE_URL: scratch.url, REDIS_URL: process.env['REDIS_URL'], REDIS_PREFIX: scratch.name } : {}),
    ...options.env,
  });
  const app = await createApp(config);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const first = await app.get(Tenants).createFirst();
  const key = first?.apiKey ?? '';

  const call = async (
    method: string,
    path: string,
    { body, form, key: credential = key, headers = {} }: CallOptions = {},
  ): Promise<Answer> => {
    const answer = await fetch(new URL(path, url), {
      method,
      headers: {
        ...(credential === null ? {} : { authorization: `Bearer ${credential}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
      redirect: 'manual',
    });
    const text = await answer.text();
    const json = answer.headers.get('content-type')?.includes('json');
    return { status: answer.status, body: json ? JSON.parse(text) : text, headers: answer.headers, text };
  };

  return {
    url,
    key,
    adminKey,
    dataDir,
    call,
    /** Steps the relay, the sweeps and the queue until nothing is left to do. */
    settle: () => app.get(JobRunner).drain(),
    database: () => app.get(Database),
    /** A part of the service itself, for what HTTP does not show. */
    part: <T>(type: abstract new (...parameters: never[]) => T): T => app.get<T>(type),
    stop: async () => {
      await stopApp(app);
      await scratch?.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A prefix of its own in the bucket that S3_ENDPOINT and its like lead to, where they are set. */
function s3Settings() {
  const names = ['S3_ENDPOINT', 'S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY', 'S3_FORCE_PATH_STYLE'];
  if (!process.env['S3_ENDPOINT']) return {};
  return { ...Object.fromEntries(names.map((name) => [name, process.env[name]])), S3_PREFIX: randomUUID() };
}

async function scratchDatabase() {
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
