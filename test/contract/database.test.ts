import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { engines, type ScratchDatabase } from './databases.js';

const say = async (client: pg.PoolClient, text: string): Promise<number> =>
  (await client.query({ name: 'same', text, values: [2] })).rows[0].n;

describe.each(engines)('$engine database', ({ open }) => {
  let database: ScratchDatabase;
  let pool: pg.Pool;

  beforeAll(async () => {
    database = await open();
    pool = database.pool;
    await pool.query(
      'create table note (id bigserial primary key, body text not null, constraint note_body_key unique (body))',
    );
  });
  afterAll(() => database.close());

  const count = async (body: string): Promise<number> => {
    const { rows } = await pool.query('select count(*)::int as n from note where body = $1', [body]);
    return rows[0].n;
  };

  test.each([
    ['int8 as text', 'int8', '9007199254740993'],
    ['int4 as number', 'int4', -7],
    ['float8 as number', 'float8', 0.1],
    ['numeric as text', 'numeric', '12345678901234567890.10'],
    ['boolean', 'boolean', false],
    ['uuid', 'uuid', '0190a5b0-3f4e-7c11-8d2a-1b2c3d4e5f60'],
    ['json', 'json', { a: [1, null, 'x'] }],
    ['jsonb', 'jsonb', { nested: { yes: true } }],
    ['text[] with awkward elements', 'text[]', ['plain', 'with "quotes"', 'a,b', '', '\\', null]],
    ['int4[]', 'int4[]', [1, 2, 3]],
    ['nested int4[]', 'int4[]', [[1], [2]]],
    ['timestamptz as Date', 'timestamptz', new Date('2026-03-29T01:30:00.123Z')],
    ['timestamp as Date in local time', 'timestamp', new Date('2026-03-29T12:30:00.123Z')],
    ['date as Date at local midnight', 'date', new Date(2026, 1, 3)],
    ['bytea as Buffer', 'bytea', Buffer.from([0, 1, 2, 254, 255])],
    ['text beyond the basic plane', 'text', 'é ✓ 𝒳 \u0001'],
    ['null', 'text', null],
  ])('%s goes in and comes out', async (_name, type, value) => {
    const { rows } = await pool.query(`select $1::${type} as value`, [value]);
    expect(rows).toStrictEqual([{ value }]);
  });

  test('a NUL in text is refused by the server, and the client stays usable', async () => {
    await expect(pool.query('select $1::text', ['a\0b'])).rejects.toMatchObject({ code: '22021' });
    await expect(pool.query('select 1')).resolves.toMatchObject({ rowCount: 1 });
  });

  test('a result carries rows, rowCount, command, fields and oid', async () => {
    const inserted = await pool.query(`insert into note (body) values ('r1'), ('r2') returning body`);
    expect(inserted).toMatchObject({ rowCount: 2, command: 'INSERT', oid: 0, rows: [{ body: 'r1' }, { body: 'r2' }] });
    expect(inserted.fields.map(({ name, dataTypeID }) => ({ name, dataTypeID }))).toEqual([
      { name: 'body', dataTypeID: 25 },
    ]);
    const updated = await pool.query(`update note set body = body || '!' where body like 'r_'`);
    expect(updated).toMatchObject({ rowCount: 2, command: 'UPDATE', rows: [] });
  });

  test('rowMode array and a named statement work, on several clients at once', async () => {
    const twice = { name: 'twice', text: 'select $1::int * 2', rowMode: 'array' as const };
    const answers = await Promise.all([1, 2, 3].map((n) => pool.query({ ...twice, values: [n] })));
    expect(answers.map(({ rows }) => rows)).toEqual([[[2]], [[4]], [[6]]]);
  });

  test('one name means to each client what that client calls so', async () => {
    const [one, other] = [await pool.connect(), await pool.connect()];
    expect(await say(one, 'select $1::int * 2 as n')).toBe(4);
    expect(await say(other, 'select $1::int * 3 as n')).toBe(6);
    expect(await say(one, 'select $1::int * 2 as n')).toBe(4);
    one.release();
    expect(await say(other, 'select $1::int * 3 as n')).toBe(6);
    other.release();
  });

  test('a named statement that could not be read can be asked again, and by another client', async () => {
    const clients = [await pool.connect(), await pool.connect()];
    const late = { name: 'late', text: 'select n from late where n = $1', values: [1] };
    for (const client of clients) await expect(client.query(late)).rejects.toMatchObject({ code: '42P01' });
    await pool.query('create table late as select 1 as n');
    for (const client of clients) {
      await client.query('begin');
      await expect(client.query('select 1 / 0')).rejects.toMatchObject({ code: '22012' });
      await expect(client.query({ ...late, name: 'failed' })).rejects.toMatchObject({ code: '25P02' });
      await client.query('rollback');
      expect((await client.query(late)).rows).toEqual([{ n: 1 }]);
      expect((await client.query({ ...late, name: 'failed' })).rows).toEqual([{ n: 1 }]);
      client.release();
    }
  });

  test('the callback style answers and fails through the callback', async () => {
    const answer = await new Promise((resolve) =>
      pool.query('select $1::int as n', [4], (error: Error | null, result: pg.QueryResult) =>
        resolve({ error, rows: result.rows }),
      ),
    );
    expect(answer).toEqual({ error: undefined, rows: [{ n: 4 }] });
    const failure = await new Promise((resolve) =>
      pool.connect((error, client, release) => {
        if (error || !client) return resolve(error);
        client.query('select nothing', (failed: Error) => {
          release();
          resolve(failed);
        });
      }),
    );
    expect(failure).toMatchObject({ code: '42703' });
  });

  test('an error says what the server said: code, constraint, table, detail, position', async () => {
    await pool.query(`insert into note (body) values ('once')`);
    await expect(pool.query(`insert into note (body) values ('once')`)).rejects.toMatchObject({
      code: '23505',
      constraint: 'note_body_key',
      table: 'note',
      schema: 'public',
      severity: 'ERROR',
      detail: 'Key (body)=(once) already exists.',
    });
    await expect(pool.query('insert into note (body) values (null)')).rejects.toMatchObject({
      code: '23502',
      column: 'body',
    });
    await expect(pool.query('selec 1')).rejects.toMatchObject({ code: '42601', position: '1' });
  });

  test('several statements without parameters run as one, and answer one by one', async () => {
    const results = await pool.query(`-- two\nselect 1 as a; insert into note (body) values ('multi');\nselect 2 as b`);
    expect((results as unknown as pg.QueryResult[]).map(({ command, rows }) => [command, rows])).toEqual([
      ['SELECT', [{ a: 1 }]],
      ['INSERT', []],
      ['SELECT', [{ b: 2 }]],
    ]);
    await expect(pool.query(`insert into note (body) values ('half'); select 1/0`)).rejects.toMatchObject({
      code: '22012',
    });
    expect(await count('half')).toBe(0);
  });

  test('what a transaction has not committed, no other client sees', async () => {
    const client = await pool.connect();
    await client.query('-- a comment first\nBEGIN');
    await client.query(`insert into note (body) values ('unseen')`);
    const seen = count('unseen'); // a server answers 0 at once, the embedded engine after the transaction
    await client.query('/* and here */ rollback');
    client.release();
    expect(await seen).toBe(0);
  });

  test('a savepoint undoes its own part, a failed transaction commits as a rollback', async () => {
    const client = await pool.connect();
    await client.query('start transaction');
    await client.query(`insert into note (body) values ('kept')`);
    await client.query('savepoint inner_part');
    await expect(client.query(`insert into note (body) values ('kept')`)).rejects.toMatchObject({ code: '23505' });
    await client.query('rollback to savepoint inner_part');
    await client.query('commit');
    await client.query('begin');
    await client.query(`insert into note (body) values ('gone')`);
    await expect(client.query('select 1/0')).rejects.toMatchObject({ code: '22012' });
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' });
    await expect(client.query('commit')).resolves.toMatchObject({ command: 'ROLLBACK' });
    client.release();
    expect([await count('kept'), await count('gone')]).toEqual([1, 0]);
  });

  test('twenty clients count in transactions and lose nothing', async () => {
    await pool.query('create table tally (n int); insert into tally values (0)');
    const bump = async () => {
      const client = await pool.connect();
      await client.query('begin');
      const { rows } = await client.query('select n from tally for update');
      await client.query('update tally set n = $1', [rows[0].n + 1]);
      await client.query('commit');
      client.release();
    };
    await Promise.all(Array.from({ length: 20 }, bump));
    expect((await pool.query('select n from tally')).rows).toEqual([{ n: 20 }]);
  });

  test('a notification reaches those who listen, when the transaction that sent it commits', async () => {
    const [listener, deaf, sender] = await Promise.all([pool.connect(), pool.connect(), pool.connect()]);
    const heard: unknown[] = [];
    deaf.on('notification', ({ channel }) => heard.push(channel));
    await listener.query('-- comment first\nLISTEN "Mixed"; listen Folded');
    const first = once(listener, 'notification');
    await sender.query('begin');
    await sender.query(`select pg_notify('Mixed', 'one')`);
    await sender.query('commit');
    expect(await first).toMatchObject([{ channel: 'Mixed', payload: 'one' }]);
    await deaf.query('listen folded');
    await listener.query('unlisten folded');
    const second = once(deaf, 'notification');
    await sender.query(`notify folded, 'two'`);
    expect(await second).toMatchObject([{ channel: 'folded', payload: 'two' }]);
    expect(heard).toEqual(['folded']);
    for (const client of [listener, deaf, sender]) client.release(true);
  });

  test('row-level security holds under SET LOCAL ROLE, and nothing of it outlives the commit', async () => {
    const role = `reader_${randomBytes(4).toString('hex')}`;
    await pool.query(`create table walled (tenant_id text, body text);
      alter table walled enable row level security; alter table walled force row level security;
      create policy own on walled using (tenant_id = current_setting('app.tenant_id', true));
      insert into walled values ('a', 'of a'), ('b', 'of b');
      create role ${role}; grant select, insert on walled to ${role}`);
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`set local role ${role}`);
    await client.query(`select set_config('app.tenant_id', $1, true)`, ['a']);
    expect((await client.query('select body from walled')).rows).toEqual([{ body: 'of a' }]);
    await client.query('savepoint before');
    await expect(client.query(`insert into walled values ('b', 'smuggled')`)).rejects.toMatchObject({ code: '42501' });
    await client.query('rollback to before');
    await client.query('commit');
    const { rows } =
      await client.query(`select current_setting('app.tenant_id', true) as tenant, current_user::text as who,
      (select count(*)::int from walled) as visible`);
    expect(rows).toMatchObject([{ tenant: '', visible: 2 }]);
    expect(rows[0].who).not.toBe(role);
    client.release();
    await pool.query(`drop owned by ${role}; drop role ${role}`);
  });

  test('vectors are stored as text literals and ranked by cosine distance', async () => {
    await pool.query('create table point (name text, place vector(3))');
    await pool.query(`insert into point values ('x', $1), ('y', $2), ('xy', $3)`, ['[1,0,0]', '[0,1,0]', '[1,1,0]']);
    const { rows } = await pool.query('select name, place, place <=> $1 as away from point order by away limit 2', [
      '[2,0,0]',
    ]);
    expect(rows).toEqual([
      { name: 'x', place: '[1,0,0]', away: 0 },
      { name: 'xy', place: '[1,1,0]', away: expect.closeTo(1 - Math.SQRT1_2, 6) },
    ]);
  });

  test('rows read by cursor arrive in portions', async () => {
    const cursor = { text: 'select generate_series(1, 7) as n', values: [], rows: 3 };
    expect((await pool.query(cursor)).rows.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});
