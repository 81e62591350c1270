import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { acquireLock } from '../../src/platform/embedded/lock.js';

const LOCK = new URL('../../dist/platform/embedded/lock.js', import.meta.url).href;

let folder: string;
let dataDir: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lectern-lock-'));
  dataDir = join(folder, 'database');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const lockFile = () => `${dataDir}.lock`;

function leave(owner: object): void {
  const old = { id: 'old', host: hostname(), started: null, since: '2026-01-01' };
  writeFileSync(lockFile(), JSON.stringify({ ...old, ...owner }));
}

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid!;
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

describe('the lock', () => {
  test('146: is not taken from a process that lives, and is free after its release', () => {
    const lock = acquireLock(dataDir);
    expect(() => acquireLock(dataDir)).toThrow(`pid ${process.pid}`);
    lock.release();
    acquireLock(dataDir).release();
    expect(existsSync(lockFile())).toBe(false);
  });

  test('146: of a dead process is taken over', async () => {
    leave({ pid: await deadPid() });
    acquireLock(dataDir);
    expect(JSON.parse(readFileSync(lockFile(), 'utf8'))).toMatchObject({ pid: process.pid });
  });

  test('146: of an earlier process with the same pid is taken over', () => {
    leave({ pid: process.pid, started: 'another boot/1' });
    acquireLock(dataDir);
    expect(JSON.parse(readFileSync(lockFile(), 'utf8'))).not.toMatchObject({ id: 'old' });
  });

  test('held on another host is not taken, and the message names the file to delete', () => {
    leave({ pid: 1, host: 'elsewhere' });
    expect(() => acquireLock(dataDir)).toThrow(`delete ${lockFile()}`);
  });

  test('is not removed by somebody whose lock it no longer is', () => {
    const lock = acquireLock(dataDir);
    leave({ pid: 1 });
    lock.release();
    expect(existsSync(lockFile())).toBe(true);
  });

  test('of a dead process goes to exactly one of twelve that want it at once', async () => {
    leave({ pid: await deadPid() });
    const script = `const { acquireLock } = await import('${LOCK}'); process.stdout.write('ready'); process.stdin.once('data', () => {
      try { acquireLock('${dataDir}'); process.stdout.write('won'); } catch { process.stdout.write('lost'); } })`;
    const children = Array.from({ length: 12 }, () => spawn(process.execPath, ['--input-type=module', '-e', script]));
    await Promise.all(children.map((child) => once(child.stdout, 'data')));
    const answers = children.map((child) => once(child.stdout, 'data'));
    for (const child of children) child.stdin.write('go');
    const words = (await Promise.all(answers)).map(String);
    await Promise.all(children.map(end));
    expect(words.filter((word) => word === 'won')).toHaveLength(1);
    expect(words.filter((word) => word === 'lost')).toHaveLength(11);
  });
});
