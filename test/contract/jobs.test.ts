import { Global, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getQueueToken } from '@nestjs/bullmq';
import { type Queue, Worker } from 'bullmq';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CONFIG, type Config, readConfig } from '../../src/config.js';
import { PermanentFailure } from '../../src/errors.js';
import { definedJobs, defineJob } from '../../src/platform/jobs/definition.js';
import { Frees, Handles, Sweep } from '../../src/platform/jobs/handlers.js';
import { JobQueue } from '../../src/platform/jobs/job-queue.js';
import { JobRunner } from '../../src/platform/jobs/job-runner.js';
import { JobsModule } from '../../src/platform/jobs/jobs.module.js';
import { LightProcessor } from '../../src/platform/jobs/processors.js';
import { LOGGER, makeLogger } from '../../src/platform/logger.js';
import { migrate } from '../../src/platform/migrate.js';
import { openPool, POOL, type Pool } from '../../src/platform/pool.js';
import { scratchDatabase } from '../service/scratch.js';

const greet = defineJob<{ name: string; times: number }>({ name: 'greet', queue: 'light', attempts: 3 });
const once = defineJob<{ id: string }>({ name: 'once', queue: 'heavy', attempts: 2, key: ({ id }) => id });

/** What the jobs of a test did, and what they should do next. */
@Injectable()
class Deeds {
  readonly greeted: { name: string; times: number }[] = [];
  readonly done: string[] = [];
  failures: Error[] = [];
  /** What the database would know to be undone. */
  owed: string[] = [];
  sweeps = 0;
  freed = 0;

  constructor(private readonly queue: JobQueue) {}

  @Handles(greet)
  async greet(payload: { name: string; times: number }): Promise<void> {
    this.greeted.push(payload);
    const failure = this.failures.shift();
    if (failure) throw failure;
  }

  @Handles(once)
  async once({ id }: { id: string }): Promise<void> {
    this.done.push(id);
    const failure = this.failures.shift();
    if (failure) throw failure;
  }

  @Sweep(60_000)
  async sweep(): Promise<void> {
    this.sweeps += 1;
    for (const id of this.owed.splice(0)) await this.queue.add(once, { id });
  }

  @Frees()
  async free(): Promise<void> {
    this.freed += 1;
  }
}

async function open(env: Record<string, string | undefined>) {
  const dataDir = await mkdtemp(join(tmpdir(), 'lectern-jobs-'));
  const config = readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'silent', REDIS_PREFIX: `test-${randomUUID()}`, ...env });
  const pool = openPool(config);
  await migrate(pool, { withQueueTables: config.redisUrl === null });
  const close = async () => {
    await pool.end();
    await rm(dataDir, { recursive: true, force: true });
  };
  return { config, pool, close };
}

function start({ config, pool }: { config: Config; pool: Pool }) {
  @Global()
  @Module({
    providers: [
      { provide: CONFIG, useValue: config },
      { provide: LOGGER, useValue: makeLogger(config) },
      { provide: POOL, useValue: pool },
    ],
    exports: [CONFIG, LOGGER, POOL],
  })
  class Surroundings {}

  @Module({ imports: [Surroundings, JobsModule], providers: [Deeds] })
  class Service {}

  return NestFactory.createApplicationContext(Service, { logger: false, abortOnError: false });
}

const { DATABASE_URL, REDIS_URL } = process.env;
const nowhere = async () => undefined;
const backends = [
  { backend: 'the embedded database', reach: async () => ({ env: {}, drop: nowhere }) },
  ...(DATABASE_URL
    ? [
        {
          backend: 'PostgreSQL',
          reach: async () => {
            const scratch = await scratchDatabase();
            return { env: { DATABASE_URL: scratch?.url }, drop: scratch?.drop ?? nowhere };
          },
        },
      ]
    : []),
  ...(REDIS_URL ? [{ backend: 'Redis', reach: async () => ({ env: { REDIS_URL }, drop: nowhere }) }] : []),
];

/** Every backend of the queue that can be reached passes this suite: the embedded one always. */
describe.each(backends)('jobs on $backend', ({ reach }) => {
  let reached: Awaited<ReturnType<typeof reach>>;
  let opened: Awaited<ReturnType<typeof open>>;
  let app: Awaited<ReturnType<typeof start>>;
  let queue: JobQueue;
  let runner: JobRunner;
  let deeds: Deeds;

  beforeAll(async () => {
    reached = await reach();
    opened = await open(reached.env);
    app = await start(opened);
    [queue, runner, deeds] = [app.get(JobQueue), app.get(JobRunner), app.get(Deeds)];
  });
  afterAll(async () => {
    await app.close();
    await opened.close();
    await reached.drop();
  });
  beforeEach(() => {
    deeds.greeted.length = 0;
    deeds.done.length = 0;
    deeds.failures = [];
    deeds.owed = [];
  });

  /** Carries out one job of the queue, as a worker does, and leaves what is delayed alone. */
  async function carryOutOne(): Promise<void> {
    const { worker } = app.get(LightProcessor);
    const job = await worker.getNextJob('a token', { block: false });
    if (!job) throw new Error('there was no job');
    await worker.processJob(job, 'a token', () => false);
  }

  it('nothing starts by itself: a job is handled with its payload when the queue is stepped', async () => {
    await queue.add(greet, { name: 'ada', times: 3 });
    expect(deeds.greeted).toEqual([]);
    await runner.drain();
    expect(deeds.greeted).toEqual([{ name: 'ada', times: 3 }]);
    await runner.drain();
    expect(deeds.greeted).toHaveLength(1);
  });

  it('a delayed job, even by a fraction of a millisecond, is stepped too', async () => {
    await queue.add(greet, { name: 'later', times: 1 }, { delayMs: 3_600_000.5 });
    await runner.drain();
    expect(deeds.greeted).toHaveLength(1);
  });

  it('a thrown error is tried again, as often as the job says', async () => {
    deeds.failures = [new Error('first')];
    await queue.add(greet, { name: 'ada', times: 1 });
    await runner.drain();
    expect(deeds.greeted).toHaveLength(2);
    deeds.failures = Array.from({ length: 9 }, (_, n) => new Error(`failure ${n}`));
    await queue.add(greet, { name: 'bob', times: 1 });
    await runner.drain();
    expect(deeds.greeted.filter(({ name }) => name === 'bob')).toHaveLength(3);
  });

  it('between attempts it waits, twice as long each time, with half of it drawn by chance', async () => {
    const light = app.get<Queue>(getQueueToken('light'));
    deeds.failures = [new Error('first'), new Error('second')];
    await queue.add(greet, { name: 'ada', times: 1 });
    for (const most of [2000, 4000]) {
      await carryOutOne();
      expect(await light.getWaitingCount()).toBe(0);
      const [waiting] = await light.getDelayed();
      expect(waiting?.delay).toBeGreaterThanOrEqual(most / 2);
      expect(waiting?.delay).toBeLessThanOrEqual(most);
      await queue.promoteDelayed();
    }
    await carryOutOne();
    expect(deeds.greeted).toHaveLength(3);
  });

  it('a permanent failure is not tried again', async () => {
    deeds.failures = [new PermanentFailure('hopeless', 'It can never succeed.')];
    await queue.add(greet, { name: 'ada', times: 1 });
    await runner.drain();
    expect(deeds.greeted).toHaveLength(1);
  });

  it('139: NUL and half a character in a payload or an error do no harm', async () => {
    deeds.failures = [new Error('bad \u0000 text \ud800'), new PermanentFailure('worse', 'also \u0000\udfff')];
    await queue.add(greet, { name: 'a\u0000b\ud800c', times: 1 });
    await runner.drain();
    expect(deeds.greeted).toEqual(Array.from({ length: 2 }, () => ({ name: 'ab\ufffdc', times: 1 })));
    await queue.add(greet, { name: 'next', times: 1 });
    await runner.drain();
    expect(deeds.greeted.at(-1)).toEqual({ name: 'next', times: 1 });
  });

  it('jobs with one key are one while the first waits, and a new one once it is over, however it ended', async () => {
    for (const id of ['a', 'a', 'b', 'a']) await queue.add(once, { id });
    await runner.drain();
    expect(deeds.done.sort()).toEqual(['a', 'b']);
    deeds.failures = [new Error('1'), new Error('2')];
    await queue.add(once, { id: 'a' });
    await runner.drain();
    expect(deeds.done).toHaveLength(4);
    await queue.add(once, { id: 'a' });
    await runner.drain();
    expect(deeds.done).toHaveLength(5);
  });

  it('a cleared queue is empty, and takes a job with a key that was in it', async () => {
    await queue.add(once, { id: 'a' });
    await queue.clear();
    await runner.drain();
    expect(deeds.done).toEqual([]);
    await queue.add(once, { id: 'a' });
    await runner.drain();
    expect(deeds.done).toEqual(['a']);
  });

  it('what a worker held when it died is done by another, and the dead one, come back, has no say', async () => {
    const { connection, prefix } = app.get<Queue>(getQueueToken('heavy')).opts;
    const neighbour = new Worker('heavy', undefined, {
      connection,
      prefix,
      autorun: false,
      lockDuration: 200,
      stalledInterval: 100,
      maxStalledCount: 3,
    });
    try {
      await queue.add(once, { id: 'held' });
      const held = await neighbour.getNextJob('the token of the dead', { block: false });
      expect(held?.data).toEqual({ id: 'held' });
      await runner.drain();
      expect(deeds.done).toEqual([]);
      // Nobody renews its lock; whoever looks for stalled jobs puts it back.
      const looking = neighbour as unknown as { moveStalledJobsToWait(): Promise<void> };
      while (deeds.done.length === 0) {
        await pause(100);
        await looking.moveStalledJobsToWait();
        await runner.drain();
      }
      expect(deeds.done).toEqual(['held']);
      await expect(held?.moveToCompleted(null, 'the token of the dead', false)).rejects.toThrow(/^Missing (key|lock)/);
      await queue.add(once, { id: 'held' });
      await runner.drain();
      expect(deeds.done).toEqual(['held', 'held']);
    } finally {
      await neighbour.close();
    }
  });

  it('what the queue lost is put back by the sweep that knows of it', async () => {
    for (const id of ['a', 'b']) await queue.add(once, { id });
    await queue.clear();
    deeds.owed = ['a', 'b'];
    await runner.drain();
    expect(deeds.done.sort()).toEqual(['a', 'b']);
  });

  it('every step runs the sweeps, and none of what frees a dead process belongings', async () => {
    const before = deeds.sweeps;
    await runner.drain();
    expect(deeds.sweeps).toBeGreaterThan(before);
    expect(deeds.freed).toBe(0);
  });

  it('answers that it is well', async () => {
    await expect(queue.check()).resolves.toBeUndefined();
  });

  // Last: a definition is for the whole process.
  it('a job that nobody handles, or defined twice, is refused before anything starts', async () => {
    expect(() => defineJob({ name: 'greet', queue: 'light', attempts: 1 })).toThrow('defined twice');
    defineJob({ name: 'orphan', queue: 'light', attempts: 1 });
    try {
      await expect(start(opened)).rejects.toThrow('no handler for the jobs: orphan');
    } finally {
      // For the next backend's run of this suite: nothing but a test ever takes a definition back.
      (definedJobs() as Map<string, unknown>).delete('orphan');
    }
  });
});
