import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedPool } from '../../src/platform/embedded/pool.js';

describe('the embedded engine, which does one thing at a time', () => {
  let folder: string;
  let people: EmbeddedPool;
  let chores: EmbeddedPool;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lectern-order-'));
    const dataDir = join(folder, 'database');
    [people, chores] = [new EmbeddedPool({ dataDir, urgent: true }), new EmbeddedPool({ dataDir })];
    await people.query('select 1');
  });
  afterAll(async () => {
    await Promise.all([people.end(), chores.end()]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('lets what people wait for go before all the chores that came earlier, but for the one that is under way', async () => {
    const order: string[] = [];
    const ask = (pool: EmbeddedPool, who: string) => pool.query('select 1').then(() => order.push(who));
    const underWay = await chores.connect();
    await underWay.query('begin');
    const asked = [
      ...Array.from({ length: 20 }, () => ask(chores, 'chore')),
      ...Array.from({ length: 5 }, () => ask(people, 'person')),
    ];
    // Its connections are open and everything waits in line once a query inside the transaction has come back.
    for (let step = 0; step < 5; step++) await underWay.query('select 1');
    expect(order).toEqual([]);
    await underWay.query('commit');
    underWay.release();
    await Promise.all(asked);
    expect(order.slice(0, 6).filter((who) => who === 'person')).toHaveLength(5);
  });

  it('gives the chores a turn all the same while people keep it busy', async () => {
    const chore = { done: false };
    const busy = Array.from({ length: 4 }, async () => {
      while (!chore.done) await people.query('select 1');
    });
    await chores.query('select 1');
    await chores.query('select 1');
    chore.done = true;
    await Promise.all(busy);
    expect(chore.done).toBe(true);
  });
});
