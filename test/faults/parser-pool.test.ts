import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Config, readConfig } from '../../src/config.js';
import type { Lane } from '../../src/knowledge/revisions.js';
import { ParserPool } from '../../src/ingestion/parsers/parser-pool.js';

const run = promisify(execFile);
const child = fileURLToPath(new URL('./misbehaving-child.mjs', import.meta.url));

let folder: string;
let pool: ParserPool;

function makePool(settings: Partial<Config['parser']> = {}): ParserPool {
  return new ParserPool({ ...readConfig({}).parser, ...settings }, child);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lectern-faults-'));
  pool = makePool({ timeoutMs: 20_000, processes: 2 });
});
afterEach(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
  if ((await folders()).length > 0) throw new Error('a folder was left behind');
});

/** What the process answers that is told to do this. */
async function told(deed: string, owner = 'somebody', lane: Lane = 'fast'): Promise<string> {
  const path = join(folder, `${Math.random()}.txt`);
  await writeFile(path, deed);
  return (await pool.parse(path, { filename: null, declared: null }, { owner, lane })).parsed.text;
}

const folders = async () =>
  (await readdir(tmpdir())).filter((name) => name.startsWith(`lectern-parse-${process.pid}-`));

/** The system's own view: of a process that ended and was not collected, its state is Z. */
const state = async (pid: string) =>
  /^State:\s+(\S)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''))?.[1];

describe.skipIf(process.platform !== 'linux')('39: a process that', () => {
  it.each([
    ['calls process.exit', 'exit 0', 'parser_crashed'],
    ['exits with a code', 'exit 7', 'parser_crashed'],
    ['breaks its memory', 'crash', 'parser_crashed'],
    ['takes 2 GB of Buffers', 'buffers 2048', 'parser_memory'],
  ])('%s fails its file by name, leaves no zombie, and the next file is read', async (_, deed, code) => {
    const pid = await told('pid');
    await expect(told(deed)).rejects.toMatchObject({ code });
    expect(await state(pid)).toBeUndefined();
    expect(await told('say still here')).toBe('still here');
  });
});

describe('a process that reads several files', () => {
  it('stays for the next file of the same owner, and for nobody else', async () => {
    const first = await told('pid');
    expect(await told('pid')).toBe(first);
    expect(await told('pid', 'another')).not.toBe(first);
  });

  it('has another one waiting, in its long run, for whoever comes next', async () => {
    for (let count = 0; count < 10; count++) await told('pid');
    await vi.waitFor(() => expect(pool['idle']).toHaveLength(2), 20_000);
    const before = (await folders()).sort();
    expect(await told('count', 'another')).toBe('0');
    expect((await folders()).sort()).toEqual(before);
  });

  it('is replaced after so many files', async () => {
    await pool.close();
    pool = makePool({ reuse: 2 });
    const counts = [await told('count'), await told('count'), await told('count')];
    expect(counts).toEqual(['0', '1', '0']);
  });

  it.each([
    ['changed Object.prototype', 'pollute'],
    ['replaced a built-in function', 'replace'],
    ['left a timer running', 'later'],
    ['failed to read its file', 'throw'],
    ['grew by half of what it may', 'buffers 480'],
  ])('is replaced when it %s', async (_, deed) => {
    const first = await told('pid');
    await told(deed).catch(() => undefined);
    expect(await told('pid')).not.toBe(first);
    expect(await told('say clean')).toBe('clean');
  });

  it('finds an empty folder each time', async () => {
    await told('litter');
    await expect(told('read left-behind')).rejects.toMatchObject({ code: 'unreadable_document' });
  });

  it('tries once more in a fresh process when one broke that had read other files', async () => {
    await told('say one');
    expect(await told('tire')).toBe('fresh');
  });
});

describe('a parser process', () => {
  let sentinel: Server;
  let calls = 0;

  beforeEach(async () => {
    calls = 0;
    sentinel = createServer((socket) => {
      calls += 1;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(sentinel, 'listening');
  });
  afterEach(() => sentinel.close());

  it('reaches nothing on the network, by no way', async () => {
    const { port } = sentinel.address() as AddressInfo;
    expect(await told(`reach ${port}`)).toBe(
      JSON.stringify(Array.from({ length: 5 }, () => 'the parser process makes no connections')),
    );
    expect(calls).toBe(0);
  });

  it('has an empty environment', async () => {
    expect(await told('environment')).toBe('{}');
  });

  it.each([
    ['reads no file but its own', (at: string) => `read ${at}/secret`],
    ['writes nothing outside its folder', (at: string) => `write ${at}/made`],
    ['starts no program', () => 'start /bin/true'],
  ])('%s', async (_, deed) => {
    await writeFile(join(folder, 'secret'), 'a key');
    await expect(told(deed(folder))).rejects.toMatchObject({ code: 'unreadable_document' });
    expect(existsSync(join(folder, 'made'))).toBe(false);
  });

  it('gives way to whatever serves requests, and a slow one to other files too', async () => {
    const fast = Number(await told('priority'));
    const slow = Number(await told('priority', 'somebody', 'slow'));
    expect(fast).toBeGreaterThanOrEqual(10);
    expect(slow).toBeGreaterThan(fast);
    expect(Number(await told('priority'))).toBe(fast);
  });

  it('is killed when it is busy for too long, and when it waits for ever', async () => {
    await pool.close();
    pool = makePool({ timeoutMs: 1_500 });
    await expect(told('spin')).rejects.toMatchObject({ code: 'parser_timeout' });
    await expect(told('hang')).rejects.toMatchObject({ code: 'parser_timeout' });
  });
});

it('a pool that is closed has ended all it started before the program goes on', async () => {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', closing()]);
  expect(stdout).toBe('closed\n');
});

describe.skipIf(process.platform !== 'linux')('a service that was killed', () => {
  // Folders of their own: whatever starts elsewhere on this machine meanwhile sweeps the common one.
  beforeAll(async () => void vi.stubEnv('TMPDIR', await mkdtemp(join(tmpdir(), 'lectern-orphans-'))));
  afterAll(async () => {
    await rm(tmpdir(), { recursive: true });
    vi.unstubAllEnvs();
  });

  it('leaves no process, busy or not, and its folders are swept by the next one', async () => {
    const service = spawn(process.execPath, ['--input-type=module', '-e', orphaning()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [pids] = (await once(service.stdout.setEncoding('utf8'), 'data')) as [string];
    const orphans = pids.trim().split(' ');
    const ended = once(service, 'exit');
    service.kill('SIGKILL');
    await ended;
    await expect.poll(() => Promise.all(orphans.map(state)), { timeout: 10_000 }).toEqual([undefined, undefined]);
    const left = async () =>
      (await readdir(tmpdir())).filter((name) => name.startsWith(`lectern-parse-${service.pid}-`));
    expect(await left()).toHaveLength(2);
    // A container's processes have the same numbers each time it starts.
    await mkdir(join(tmpdir(), `lectern-parse-${process.pid}-another_start-abcdef`));
    await told('pid');
    const [alive] = (await folders()).filter((name) => !name.includes('another'));
    await pool.onApplicationBootstrap();
    expect(await left()).toEqual([]);
    expect(await folders()).toEqual([alive]);
  });
});

const built = (path: string) => JSON.stringify(new URL(`../../dist/${path}`, import.meta.url).href);

/** A program with one idle and one busy parser process, which says their ids. */
const orphaning = (): string =>
  program(`
    const pids = await Promise.all(['a', 'b'].map(async (owner) => (await told('pid', owner)).parsed.text));
    void told('spin', 'b');
    setTimeout(() => console.log(pids.join(' ')), 500);`);

/** One that closes the pool in the end, and has nothing else to wait for. */
const closing = (): string =>
  program(`
    await told('pid', 'a');
    await pool.close();
    console.log('closed');`);

function program(deeds: string): string {
  return `
    import { writeFileSync } from 'node:fs';
    import { ParserPool } from ${built('ingestion/parsers/parser-pool.js')};
    import { readConfig } from ${built('config.js')};
    const pool = new ParserPool(readConfig({}).parser, ${JSON.stringify(child)});
    const told = (deed, owner) => {
      const path = ${JSON.stringify(folder)} + '/' + owner;
      writeFileSync(path, deed);
      return pool.parse(path, { filename: null, declared: null }, { owner });
    };
    ${deeds}`;
}
