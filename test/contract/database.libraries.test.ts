import { createPostgresBackend, Queue, QueueEvents, runMigrations, Worker } from 'bullmq';
import { DataSource, EntitySchema } from 'typeorm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { engines, type ScratchDatabase } from './databases.js';

interface Card {
  id: string;
  title: string;
  meta: { tags: string[] };
  labels: string[];
  at: Date;
  size: string;
}

const cards = new EntitySchema<Card>({
  name: 'card',
  columns: {
    id: { type: 'uuid', primary: true, generated: 'uuid' },
    title: { type: 'text', unique: true },
    meta: { type: 'jsonb' },
    labels: { type: 'text', array: true },
    at: { type: 'timestamptz' },
    size: { type: 'bigint' },
  },
});

describe.each(engines)('$engine database under its libraries', ({ open }) => {
  let database: ScratchDatabase;

  beforeAll(async () => {
    database = await open();
    const client = await database.pool.connect();
    await runMigrations(client);
    client.release();
    await database.pool.query(`create table card (id uuid primary key default gen_random_uuid(), title text unique,
      meta jsonb, labels text[], at timestamptz, size bigint)`);
  });
  afterAll(() => database.close());

  test('TypeORM keeps JSON, arrays, times and 64-bit numbers, and rolls back a failed transaction', async () => {
    const source = await new DataSource({ ...database.typeorm, entities: [cards] }).initialize();
    const repository = source.getRepository(cards);
    const card = {
      title: 'one',
      meta: { tags: ['a'] },
      labels: ['x', 'y'],
      at: new Date(1e12),
      size: '9007199254740993',
    };
    const { id } = await repository.save({ ...card });
    expect(await repository.findOneByOrFail({ id })).toEqual({ id, ...card });

    const failing = source.transaction(async (manager) => {
      await manager.save(cards, { ...card, title: 'two' });
      await manager.transaction((inner) => inner.save(cards, { ...card, title: 'three' }));
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    await expect(repository.insert({ ...card })).rejects.toMatchObject({
      code: '23505',
      driverError: { table: 'card' },
    });
    expect(await repository.count()).toBe(1);
    expect(await repository.update({ id }, { title: 'renamed' })).toMatchObject({ affected: 1 });
    await source.destroy();
    await expect(database.pool.query('select title from card')).resolves.toMatchObject({
      rows: [{ title: 'renamed' }],
    });
  });

  test('BullMQ hears of a job at once, and tries a failing one again', async () => {
    const options = { connection: database.pool };
    const queue = new Queue('chores', options, createPostgresBackend);
    const events = new QueueEvents('chores', options, createPostgresBackend);
    const attempts: string[] = [];
    const work = async (job: { name: string }) => {
      attempts.push(job.name);
      if (job.name === 'stubborn' && attempts.filter((name) => name === 'stubborn').length < 3)
        throw new Error('not yet');
      return job.name.length;
    };
    const worker = new Worker('chores', work, { ...options, drainDelay: 120 }, createPostgresBackend);
    await Promise.all([worker.waitUntilReady(), events.waitUntilReady()]);

    await (await queue.add('first', {})).waitUntilFinished(events);
    // By looking now and then, it would come to this in two minutes.
    const job = await queue.add('easy', { id: 'rev_1' });
    expect(await job.waitUntilFinished(events, 60_000)).toBe(4);

    const stubborn = await queue.add('stubborn', {}, { attempts: 3, backoff: { type: 'fixed', delay: 20 } });
    expect(await stubborn.waitUntilFinished(events)).toBe(8);
    expect(attempts).toEqual(['first', 'easy', 'stubborn', 'stubborn', 'stubborn']);
    expect(await queue.getJobCounts('completed', 'failed', 'active')).toEqual({ completed: 3, failed: 0, active: 0 });
    await Promise.all([worker.close(), events.close()]);
    await queue.close();
  });
});
