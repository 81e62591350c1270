import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { readConfig } from '../../src/config.js';
import type { Launcher } from '../../src/ingestion/parsers/launcher.js';
import { resultFile } from '../../src/ingestion/parsers/parse-protocol.js';
import { ParserProcess } from '../../src/ingestion/parsers/parser-process.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lectern-patience-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A process that starts at once, and answers a file when it is let. */
function answering(answer: Promise<void>): Promise<ParserProcess> {
  const start = ({ folder: working }: { folder: string }) => {
    const verdicts = [
      async () => 'ready',
      async () => {
        await answer;
        await writeFile(join(working, resultFile), '{}');
        return 'ready';
      },
    ];
    return {
      pid: process.pid,
      over: false,
      ended: new Promise(() => undefined),
      write: () => undefined,
      kill: () => undefined,
      nextVerdict: () => verdicts.shift()?.(),
    };
  };
  const order = { heapMb: 64, rssMb: 100_000, lane: 'fast' as const };
  return ParserProcess.start({ start } as unknown as Launcher, order, AbortSignal.timeout(10_000));
}

it('whether a file may go on is not asked once it was read, by a look that had begun before', async () => {
  const path = join(folder, 'file.txt');
  await writeFile(path, 'text');
  let looked: () => void = expect.fail;
  let read: () => void = expect.fail;
  const parser = await answering(new Promise((done) => (looked = done)));
  const untilRead = new Promise<void>((done) => (read = done));
  // The first look lasts until the file was read, and it is read meanwhile.
  vi.spyOn(parser as unknown as { weigh: () => Promise<void> }, 'weigh').mockImplementationOnce(() => {
    looked();
    return untilRead;
  });
  let isRead = false;
  const asked: string[] = [];
  const mayGoOn = () => asked.push(isRead ? 'afterwards' : 'meanwhile') > 0;
  const request = { hint: { filename: null, declared: null }, bounds: readConfig({}).parser.bounds };
  await parser.parse(path, request, { timeoutMs: 10_000, patienceMs: 0, mayGoOn }, AbortSignal.timeout(10_000));
  isRead = true;
  read();
  await pause(200);
  expect(asked).not.toContain('afterwards');
  await rm(parser['folder'], { recursive: true });
});
