import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { moveAside } from '../../src/platform/embedded/datadir.js';
import { copyTemplate } from '../service/template.js';
import { EmbeddedPool, type EmbeddedPoolOptions } from '../../src/platform/embedded/pool.js';

const WRITER = fileURLToPath(new URL('embedded-writer.mjs', import.meta.url));
const POOL = new URL('../../dist/platform/embedded/pool.js', import.meta.url).href;

let folder: string;
let dataDir: string;
let pools: EmbeddedPool[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lectern-faults-'));
  dataDir = join(folder, 'database');
  pools = [];
});
afterEach(async () => {
  await Promise.all(pools.map((pool) => (pool.ending ? undefined : pool.end())));
  rmSync(folder, { recursive: true, force: true });
});

function open(options: Partial<EmbeddedPoolOptions> = {}): EmbeddedPool {
  const pool = new EmbeddedPool({ dataDir, ...options });
  pools.push(pool);
  return pool;
}

/** A process that writes numbered rows until it is killed; `lines` is what it has said so far. */
function startWriter(): { child: ChildProcess; lines: string[]; said: (enough: number) => Promise<void> } {
  const child = spawn(process.execPath, ['--liftoff-only', WRITER, POOL, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout! });
  reader.on('line', (line) => lines.push(line));
  const said = (enough: number): Promise<void> =>
    new Promise((resolve, reject) => {
      reader.on('line', () => lines.length >= enough && resolve());
      reader.once('close', () => reject(new Error(`the writer ended after saying ${lines.join(', ')}`)));
    });
  return { child, lines, said };
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

const RUNAWAY = 'select count(*) from generate_series(1, 100000000000)';

/** A database that is there already: to make one takes seconds, which is not what these are about. */

describe('a runaway statement', () => {
  beforeEach(() => copyTemplate(dataDir));

  test('148: is cut at the deadline while the others go on and no acknowledged row is lost', async () => {
    const pool = open({ statementTimeoutMs: 1_000 });
    await pool.query('create table kept (n int)');
    const listener = await pool.connect();
    await listener.query('listen news');
    await pool.query('insert into kept select generate_series(1, 100)');

    const runaway = pool.query(RUNAWAY).catch((error: unknown) => error);
    const others = Array.from({ length: 10 }, (_, n) => pool.query('insert into kept values ($1)', [n]));
    expect(await runaway).toMatchObject({ code: '57014', message: expect.stringContaining('longer than 1000 ms') });
    await Promise.all(others);

    await expect(pool.query('select count(*)::int as n from kept')).resolves.toMatchObject({ rows: [{ n: 110 }] });
    const heard = once(listener, 'notification');
    await pool.query(`notify news, 'still here'`);
    expect(await heard).toMatchObject([{ channel: 'news', payload: 'still here' }]);
    listener.release();
  });

  test('takes its transaction with it, and the client can only end that transaction', async () => {
    const pool = open({ statementTimeoutMs: 1_000, initSql: ['set search_path to public, elsewhere'] });
    await pool.query('create table kept (n int)');
    const client = await pool.connect();
    await client.query({ name: 'insert', text: 'insert into kept values ($1)', values: [0] });
    await client.query('begin');
    await client.query('insert into kept values (1)');
    await expect(client.query(RUNAWAY)).rejects.toMatchObject({ code: '57014' });
    await expect(client.query('insert into kept values (2)')).rejects.toMatchObject({ code: '25P02' });
    await expect(client.query('commit')).resolves.toMatchObject({ command: 'ROLLBACK' });
    await client.query({ name: 'insert', text: 'insert into kept values ($1)', values: [3] });
    client.release();
    const { rows } = await pool.query(
      `select array_agg(n order by n) as kept, current_setting('search_path') as path from kept`,
    );
    expect(rows).toEqual([{ kept: [0, 3], path: 'public, elsewhere' }]);
  });

  test('may run past the deadline where that was asked for', async () => {
    const pool = open({ statementTimeoutMs: 100 });
    await pool.query('select 1').catch(() => undefined); // the first statement of all also waits for the engine to warm up
    const slow = await pool.withoutDeadline((client) =>
      client.query('select count(*)::int as n from generate_series(1, 1500000)'),
    );
    expect(slow.rows).toEqual([{ n: 1_500_000 }]);
  });
});

describe('a client that does not clean up', () => {
  beforeEach(() => copyTemplate(dataDir));

  test('has its open transaction rolled back when it is released', async () => {
    const pool = open();
    await pool.query('create table kept (n int)');
    const client = await pool.connect();
    await client.query('begin');
    await client.query('insert into kept values (1)');
    client.release();
    await expect(pool.query('select count(*)::int as n from kept')).resolves.toMatchObject({ rows: [{ n: 0 }] });
  });

  test('that waits for another client inside its transaction is told so instead of hanging', async () => {
    const pool = open({ idleInTransactionTimeoutMs: 300 });
    await pool.query('create table kept (n int)');
    const client = await pool.connect();
    await client.query('begin');
    await client.query('insert into kept values (1)');
    await expect(pool.query('select count(*)::int as n from kept')).resolves.toMatchObject({ rows: [{ n: 0 }] });
    await expect(client.query('commit')).rejects.toMatchObject({ code: '25P03', hint: /its own client/ });
    await client.query('rollback');
    client.release();
    await expect(pool.query('select count(*)::int as n from kept')).resolves.toMatchObject({ rows: [{ n: 0 }] });
  });
});

test('an engine that breaks down fails its statement and reopens for the next', async () => {
  await copyTemplate(dataDir);
  const pool = open();
  await pool.query('create table kept (n int); insert into kept values (1)');
  await expect(pool.query('copy kept from stdin')).rejects.toMatchObject({ code: '57P01' });
  await expect(pool.query('select n from kept')).resolves.toMatchObject({ rows: [{ n: 1 }] });
});

test('endless recursion in SQL is an error and not the end of the engine', async () => {
  await copyTemplate(dataDir);
  const pool = open();
  await pool.query(`create function deeper(i int) returns int language plpgsql as 'begin return deeper(i + 1); end'`);
  await expect(pool.query('select deeper(1)')).rejects.toMatchObject({ code: '54001' });
});

test('147: five kills in the middle of writing lose no acknowledged row', async () => {
  await copyTemplate(dataDir);
  let acknowledged = 0;
  for (let round = 0; round < 5; round += 1) {
    const { child, lines, said } = startWriter();
    await said(50 + round * 37);
    await kill(child);
    acknowledged = Number(lines.at(-1));
    const pool = open(); // also takes over the lock of the dead process
    const { rows } = await pool.query('select count(*)::int as n, max(n)::int as last from written');
    expect(rows[0].last).toBeGreaterThanOrEqual(acknowledged);
    expect(rows[0].n).toBe(rows[0].last);
    await pool.end();
  }
  expect(acknowledged).toBeGreaterThan(500);
});

test('147: a kill during the very first start leaves a directory that opens', async () => {
  const { child } = startWriter();
  while (!existsSync(`${dataDir}.initialising`)) await new Promise((resolve) => setImmediate(resolve));
  while (!existsSync(join(dataDir, 'PG_VERSION'))) await new Promise((resolve) => setImmediate(resolve));
  await kill(child);
  await expect(open().query('select 1 as one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
  expect(existsSync(`${dataDir}.initialising`)).toBe(false);
});

describe('the data directory', () => {
  test('146: is refused to a second process, which names the first', async () => {
    await copyTemplate(dataDir);
    const pool = open();
    await pool.query('select 1');
    const { child, lines } = startWriter();
    const [code] = await once(child, 'close');
    expect([code, lines]).toEqual([
      1,
      [expect.stringMatching(`another Lectern \\(pid ${process.pid}, since .*DATA_DIR`)],
    ]);
    await pool.end();
    expect(existsSync(`${dataDir}.lock`)).toBe(false);
  });

  test('149: with files but no database in it is named, and left alone', async () => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'postgresql.conf'), 'half');
    await expect(open().query('select 1')).rejects.toThrow(`${dataDir} holds files but no complete database`);
    expect(readFileSync(join(dataDir, 'postgresql.conf'), 'utf8')).toBe('half');
    expect(existsSync(`${dataDir}.lock`)).toBe(false);
  });

  test('149: is moved aside when that is asked for, and only when no database is in it', async () => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'postgresql.conf'), 'half');
    const aside = moveAside(dataDir);
    expect(readFileSync(join(aside ?? '', 'postgresql.conf'), 'utf8')).toBe('half');
    const pool = open();
    await pool.query('create table kept (n int); insert into kept values (1)');
    expect(() => moveAside(dataDir)).toThrow(`pid ${process.pid}`);
    await pool.end();
    expect(() => moveAside(dataDir)).toThrow('holds a database');
    await expect(open().query('select n from kept')).resolves.toMatchObject({ rows: [{ n: 1 }] });
  });

  test('149: that is empty or not there needs no moving', () => {
    expect(moveAside(dataDir)).toBeNull();
  });

  test('that cannot be made is an error of the first query, and of a connect with a callback', async () => {
    writeFileSync(dataDir, 'a file where the folder should be');
    const pool = open();
    await expect(pool.query('select 1')).rejects.toThrow('EEXIST');
    const error = await new Promise((resolve) => pool.connect((failed) => resolve(failed)));
    expect(error).toMatchObject({ code: 'EEXIST' });
  });
});
