import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Abstract, Type } from '@nestjs/common';
import { Tenants } from '../../src/access/tenants.js';
import { beginWork, createApp, stopApp } from '../../src/app.module.js';
import { readConfig } from '../../src/config.js';
import { Relay } from '../../src/events/relay.js';
import { SlowLane } from '../../src/ingestion/slow-lane.js';
import { Database } from '../../src/platform/database.js';
import { JobRunner } from '../../src/platform/jobs/job-runner.js';
import { scratchDatabase } from './scratch.js';
import { copyTemplate, runFolder } from './template.js';

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
  /** Takes a refusal by a process that has too much to do for the answer; otherwise one comes back, as it asks. */
  once?: boolean;
}

/** A service of a test's own. */
export type OwnService = Awaited<ReturnType<typeof startService>>;

/** What a test may do with a service that other tests use as well: all but end it, start it anew or set it going. */
export type Service = Omit<OwnService, 'restart' | 'pause' | 'work'>;

type Settings = Record<string, string | undefined>;

/** Where the engines of this lane are; nothing on the embedded one. */
export interface Engines extends Settings {
  DATABASE_URL?: string;
  REDIS_URL?: string;
}

export const adminKey = 'an-admin-key-for-the-tests';

/**
 * The real service over HTTP on a real database: the embedded one, started from a copy of one that was migrated once, or
 * a scratch database on the server that DATABASE_URL names; likewise its files. The queue stands still until `settle` steps it.
 */
export async function startService(options: { env?: Settings | ((engines: Engines) => Settings) } = {}) {
  const dataDir = await mkdtemp(join(runFolder(), 'service-'));
  const scratch = await scratchDatabase();
  if (!scratch) await copyTemplate(join(dataDir, 'database'));
  const engines: Engines = {
    ...s3Settings(),
    ...(scratch ? { DATABASE_URL: scratch.url, REDIS_URL: process.env['REDIS_URL'], REDIS_PREFIX: scratch.name } : {}),
  };
  const open = async (env: Settings | ((reached: Engines) => Settings) = {}) => {
    const config = readConfig({
      DATA_DIR: dataDir,
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_LEVEL: 'silent',
      ADMIN_API_KEY: adminKey,
      // On a slow machine a large file would be read twice, the second time with what processor the others leave.
      PARSER_PATIENCE_MS: '20000',
      ...engines,
      ...(typeof env === 'function' ? env(engines) : env),
    });
    const opened = await createApp(config);
    await opened.listen(0, '127.0.0.1');
    return opened;
  };
  let app = await open(options.env);
  let url = await app.getUrl();
  let paused = false;
  const first = await app.get(Tenants).createFirst();
  const key = first?.apiKey ?? '';

  const callOnce = async (
    method: string,
    path: string,
    { body, form, key: credential = key, headers = {} }: CallOptions,
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
  const call = async (method: string, path: string, how: CallOptions = {}): Promise<Answer> => {
    // On a full machine, tests that compute beside the service make it late: it refuses before it has done anything.
    for (let turns = how.once ? 0 : 30; ; turns--) {
      const answer = await callOnce(method, path, how);
      if (turns === 0 || answer.body?.code !== 'overloaded') return answer;
      await pause(Number(answer.headers.get('retry-after')) * 1000);
    }
  };

  return {
    get url() {
      return url;
    },
    key,
    adminKey,
    dataDir,
    call,
    /** Steps the relay, the sweeps and the queue until nothing is left to do, also where no worker is held. */
    settle: async () => {
      do await app.get(JobRunner).drain();
      while (await app.get(SlowLane).finishMoved());
    },
    /** Tells what was recorded, so that jobs wait in the queue; none is carried out. */
    announce: () => app.get(Relay).relay(),
    /** Sets going what a process does by itself, workers and sweeps among it, where nobody steps them. */
    work: () => beginWork(app),
    database: () => app.get(Database),
    /** A part of the running service, for a test that holds it by the hand. */
    part: <T>(of: Type<T> | Abstract<T>): T => app.get(of),
    /** Ends the service and starts it on the same data with other settings. */
    restart: async (env: Settings = {}) => {
      if (!paused) await stopApp(app);
      paused = false;
      app = await open(env);
      url = await app.getUrl();
    },
    /** Ends it until `restart`, so that another process may have its data. */
    pause: async () => {
      paused = true;
      await stopApp(app);
    },
    stop: async () => {
      if (!paused) await stopApp(app);
      await scratch?.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

let shared: Promise<OwnService> | undefined;

/**
 * A tenant of its own on the service that the test files of a process share: starting one, and its first round of work, cost
 * more than most files ask of it. For tests that set nothing, look at nothing but their tenant's, and leave no work undone.
 * It ends with the process; what it leaves behind goes with the run.
 */
export async function joinService(): Promise<Service> {
  shared ??= startService({ env: { OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8' } });
  const service = await shared;
  const { apiKey } = await service.part(Tenants).create(randomUUID());
  return {
    ...service,
    key: apiKey,
    call: (method, path, how = {}) =>
      service.call(method, path, { ...how, key: how.key === undefined ? apiKey : how.key }),
    stop: async () => undefined,
  };
}

/** A prefix of its own in the bucket that S3_ENDPOINT and its like lead to, where they are set. */
function s3Settings() {
  const names = ['S3_ENDPOINT', 'S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY', 'S3_FORCE_PATH_STYLE'];
  if (!process.env['S3_ENDPOINT']) return {};
  return { ...Object.fromEntries(names.map((name) => [name, process.env[name]])), S3_PREFIX: randomUUID() };
}
