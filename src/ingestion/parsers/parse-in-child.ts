import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PermanentFailure } from '../../errors.js';
import { type ParseReply, type ParseRequest, resultFile } from './parse-protocol.js';
import type { ContentType, ParsedDocument } from './parsed.js';
import type { TypeHint } from './sniff.js';

/** Budget of one parse: wall clock in ms, V8 heap and resident memory in MiB, characters (UTF-16 units), pages. */
export interface ParseLimits {
  timeoutMs: number;
  heapMb: number;
  rssMb: number;
  textChars: number;
  pages: number;
}

export const defaultParseLimits: ParseLimits = {
  timeoutMs: 60_000,
  heapMb: 512,
  rssMb: 768,
  textChars: 20 * 1024 * 1024,
  pages: 5_000,
};

export interface ParseOutcome {
  contentType: ContentType;
  parsed: ParsedDocument;
  /** Largest resident size of the process that parsed, in MiB. */
  maxRssMb: number;
}

const CHILD = fileURLToPath(new URL('./parser-child.js', import.meta.url));
const WATCH_EVERY_MS = 250;
// A reply is JSON: six bytes for a character at worst, and some for each block.
const REPLY_BYTES_PER_CHAR = 6;

const tooSlow = () =>
  new PermanentFailure('parser_timeout', 'Reading the file took longer than is allowed: split or simplify it.');
const tooBig = () =>
  new PermanentFailure('parser_memory', 'Reading the file took more memory than is allowed: split or simplify it.');

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Parses one file in a process of its own: without environment, network or our memory, in an empty folder that is removed
 * afterwards, killed when it exceeds its budget or when `signal` aborts.
 * Throws `PermanentFailure`: what `sniff` and the parsers throw, and `parser_timeout`, `parser_memory`, `parser_crashed`.
 */
export async function parseInChild(
  path: string,
  hint: TypeHint,
  limits: ParseLimits,
  signal?: AbortSignal,
): Promise<ParseOutcome> {
  signal?.throwIfAborted();
  const folder = await mkdtemp(join(tmpdir(), 'lectern-parse-'));
  try {
    const { textChars, pages } = limits;
    await run(folder, { path: resolve(path), hint, textChars, pages }, limits, signal);
    return await readReply(join(folder, resultFile), limits);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Resolves when the child left by itself with a reply; rejects with the reason when it did not. */
async function run(cwd: string, request: ParseRequest, limits: ParseLimits, signal?: AbortSignal): Promise<void> {
  const child = spawn(process.execPath, [`--max-old-space-size=${limits.heapMb}`, CHILD], {
    cwd,
    env: {},
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: false,
    windowsHide: true,
  });
  running.add(child);
  let reason: unknown = null;
  const kill = (why: unknown) => {
    reason ??= why;
    child.kill('SIGKILL');
  };
  const onAbort = () => kill(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const deadline = setTimeout(() => kill(tooSlow()), limits.timeoutMs);
  const watch = setInterval(() => void checkMemory(child, limits, kill), WATCH_EVERY_MS);
  const complaint = tailOf(child);
  try {
    const exit = exitOf(child);
    child.stdin?.on('error', () => {}); // a child that died before it read its request: the exit tells why
    child.stdin?.end(JSON.stringify(request));
    const how = await exit;
    if (reason !== null) throw reason;
    if (how !== 0) throw crashed(how, complaint());
  } finally {
    clearTimeout(deadline);
    clearInterval(watch);
    signal?.removeEventListener('abort', onAbort);
    running.delete(child);
  }
}

const exitOf = (child: ChildProcess): Promise<number | string> =>
  new Promise((done, failed) => {
    child.once('error', failed);
    child.once('close', (code, signalName) => done(code ?? signalName ?? 'unknown'));
  });

/** Keeps the end of what the child wrote to its standard error; it is logged as a cause, never shown. */
function tailOf(child: ChildProcess): () => string {
  let tail = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-8_000);
  });
  return () => tail;
}

function crashed(how: number | string, complaint: string): PermanentFailure {
  // V8 aborts the process when its heap is full: that is the file's doing, and the next attempt would end the same.
  if (/heap out of memory|Allocation failed|out of memory/i.test(complaint)) return tooBig();
  const cause = new Error(`parser process ended with ${how}: ${complaint.slice(-1_000)}`);
  return new PermanentFailure('parser_crashed', 'The process that read the file broke off: try again.', true, {
    cause,
  });
}

/** Heap limits do not count Buffers, so the process is weighed as the system sees it (Linux; elsewhere only the heap counts). */
async function checkMemory(child: ChildProcess, limits: ParseLimits, kill: (why: unknown) => void): Promise<void> {
  const status = await readFile(`/proc/${child.pid}/status`, 'latin1').catch(() => '');
  const kib = Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1] ?? 0);
  if (kib > limits.rssMb * 1024 && child.exitCode === null) kill(tooBig());
}

async function readReply(file: string, limits: ParseLimits): Promise<ParseOutcome> {
  const size = (await stat(file).catch(() => null))?.size;
  if (size === undefined) throw crashed('no reply', '');
  if (size > limits.textChars * REPLY_BYTES_PER_CHAR + 64 * 1024 * 1024) throw tooBig();
  const reply = JSON.parse(await readFile(file, 'utf8')) as ParseReply;
  if (!('failure' in reply)) return reply;
  const { code, message, retryable } = reply.failure;
  throw new PermanentFailure(code, message, retryable);
}
