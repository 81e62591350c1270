import { copyFile, lstat, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PermanentFailure } from '../../errors.js';
import { mayBeAlive, thisProcess } from '../../platform/process-identity.js';
import type { Ending, LaunchOrder } from './launch-protocol.js';
import { type Launched, type Launcher, launcherEnded } from './launcher.js';
import { inputFile, type ParseReply, type ParseRequest, resultFile, type Verdict } from './parse-protocol.js';
import { lowerPriority } from './parser-command.js';

const WATCH_EVERY_MS = 100;
const START_MS = 60_000;
// Linux counts processor time in hundredths of a second, whatever its kernel was built for.
const TICK_MS = 10;
// How much longer than its processor time a file may take.
const WAITING = 5;
// A reply is JSON: six bytes for a character at worst, and some for each block.
const REPLY_BYTES_PER_CHAR = 6;
// Whose it is, by number and start; mkdtemp adds what makes it the only one.
const FOLDER = /^lectern-parse-(\d+)-(.*)-.{6}$/;
const MINE = `lectern-parse-${thisProcess.pid}-${(thisProcess.started ?? '').replace('/', '_')}-`;

const tooSlow = () =>
  new PermanentFailure('parser_timeout', 'Reading the file took longer than is allowed: split or simplify it.');

/** How long one file may be read. */
export interface TimeLimits {
  timeoutMs: number;
  /**
   * Of processor time, where the system tells it: on a busy machine a file takes longer and is not to blame. Elsewhere,
   * and for what only waits, of time.
   */
  patienceMs: number;
  /** Asked once and while it reads, when patience is over: whether it may go on, at a lower priority and with all of `timeoutMs`. */
  mayGoOn: () => boolean;
}

const tooBig = () =>
  new PermanentFailure('parser_memory', 'Reading the file took more memory than is allowed: split or simplify it.');

/** One parser process and its working directory. It reads one file at a time, until it is spent. */
export class ParserProcess {
  /** How many files it has read. */
  served = 0;
  /** Largest resident size during the last parse, in MiB; 0 where the system does not tell. */
  peakMb = 0;
  private fit = true;

  private constructor(
    private readonly folder: string,
    private readonly child: Launched,
    private readonly rssMb: number,
  ) {
    void child.ended.then(() => (this.fit = false));
  }

  /**
   * A process that has loaded its libraries, so that no file pays for that.
   * @param order `rssMb`: how much resident memory it may have, in MiB
   * @throws Error when it did not start, which is no fault of any file
   */
  static async start(
    launcher: Launcher,
    { rssMb, ...order }: Omit<LaunchOrder, 'folder'> & { rssMb: number },
    signal: AbortSignal,
  ): Promise<ParserProcess> {
    signal.throwIfAborted();
    const folder = await mkdtemp(join(tmpdir(), MINE));
    const child = launcher.start({ folder, ...order });
    const started = new ParserProcess(folder, child, rssMb);
    const giveUp = AbortSignal.any([signal, AbortSignal.timeout(START_MS)]);
    const kill = () => child.kill();
    giveUp.addEventListener('abort', kill);
    const verdict = await child.nextVerdict();
    giveUp.removeEventListener('abort', kill);
    if (verdict !== null) return started;
    await started.end();
    signal.throwIfAborted();
    const { how, complaint } = await child.ended;
    throw new Error(`a parser process did not start: ${how} ${complaint.slice(-1_000)}`);
  }

  /** Whether it may read another file: alive, unchanged by what it has read, and not grown. */
  get reusable(): boolean {
    return this.fit;
  }

  /**
   * Reads the file at `path`. Rejects with what the parser threw, with `parser_timeout`, `parser_memory` or
   * `parser_crashed`, or with the reason of `signal`; after any of these the process is spent.
   */
  async parse(path: string, request: ParseRequest, limits: TimeLimits, signal: AbortSignal): Promise<ParseReply> {
    let reason: unknown = null;
    let over = false;
    const kill = (why: unknown) => {
      // A look that began before the reply came is of no meaning after it.
      if (over) return;
      reason ??= why;
      this.child.kill();
    };
    const onAbort = () => kill(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const deadline = setTimeout(() => kill(tooSlow()), limits.timeoutMs);
    const impatient = await this.patience(limits);
    const look = async () => {
      await this.weigh(kill);
      if ((await impatient()) && !over && !this.goesOn(limits)) kill(tooSlow());
    };
    const watch = setInterval(() => void look(), WATCH_EVERY_MS);
    try {
      signal.throwIfAborted();
      await this.lay(path);
      const verdict = await this.ask(request);
      await this.weigh(() => undefined);
      if (verdict === null) throw reason ?? crashed(await this.child.ended);
      const reply = await this.readReply(request.bounds.textChars);
      this.served += 1;
      // What one file leaves behind must not count against the next one.
      if (verdict !== ('ready' satisfies Verdict) || this.peakMb > this.rssMb / 2) this.fit = false;
      return reply;
    } catch (error) {
      this.fit = false;
      throw error;
    } finally {
      over = true;
      clearTimeout(deadline);
      clearInterval(watch);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Kills it, if it lives, and removes its folder. */
  async end(): Promise<void> {
    this.fit = false;
    this.child.kill();
    await this.child.ended;
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  /** A clean folder with the file in it, and the memory gauge at zero. */
  private async lay(path: string): Promise<void> {
    for (const name of await readdir(this.folder)) await rm(join(this.folder, name), { recursive: true, force: true });
    await copyFile(path, join(this.folder, inputFile));
    this.peakMb = 0;
    await writeFile(`/proc/${this.child.pid}/clear_refs`, '5').catch(() => undefined);
  }

  /** @returns what the process says of itself after its reply, or null when it ended without one */
  private ask(request: ParseRequest): Promise<string | null> {
    this.child.write(JSON.stringify(request));
    return this.child.nextVerdict();
  }

  /** Heap limits do not count Buffers, so the process is weighed as the system sees it (Linux; elsewhere only the heap counts). */
  private async weigh(kill: (why: unknown) => void): Promise<void> {
    const status = await readFile(`/proc/${this.child.pid}/status`, 'latin1').catch(() => '');
    const kib = Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? 0);
    this.peakMb = Math.max(this.peakMb, Math.round(kib / 1024));
    if (this.peakMb > this.rssMb && !this.child.over) kill(tooBig());
  }

  /** @returns what says, once, that the file has had its share of time */
  private async patience({ patienceMs }: TimeLimits): Promise<() => Promise<boolean>> {
    const began = performance.now();
    const usedMs = await this.processorMs();
    const wallMs = usedMs === null ? patienceMs : patienceMs * WAITING;
    let told = false;
    return async () => {
      if (told) return false;
      const nowMs = await this.processorMs();
      const over = performance.now() - began > wallMs || (nowMs ?? 0) - (usedMs ?? 0) > patienceMs;
      if (told || !over || this.child.over) return false;
      return (told = true);
    };
  }

  private goesOn({ mayGoOn }: TimeLimits): boolean {
    if (!mayGoOn()) return false;
    this.fit = false; // a priority that was lowered cannot be raised again
    lowerPriority(this.child.pid, 'slow');
    return true;
  }

  /** Processor time of all its threads since it started, or null where the system does not tell. */
  private async processorMs(): Promise<number | null> {
    const stat = await readFile(`/proc/${this.child.pid}/stat`, 'latin1').catch(() => '');
    // After the name, which may hold anything: state, then numbers, of which the 12th and 13th are user and system time.
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13);
    return user === undefined || system === undefined ? null : (Number(user) + Number(system)) * TICK_MS;
  }

  private async readReply(textChars: number): Promise<ParseReply> {
    const file = join(this.folder, resultFile);
    // Not through a link: the folder is the child's to write.
    const found = await lstat(file);
    if (!found.isFile() || found.size > textChars * REPLY_BYTES_PER_CHAR + 64 * 1024 * 1024) throw tooBig();
    return JSON.parse(await readFile(file, 'utf8')) as ParseReply;
  }
}

function crashed({ how, complaint }: Ending): Error {
  if (how === launcherEnded) return new Error(how); // another file's doing, if any's
  // V8 aborts the process when its heap is full: that is the file's doing, and the next attempt would end the same.
  if (/heap out of memory|Allocation failed|out of memory/i.test(complaint)) return tooBig();
  const cause = new Error(`parser process ended with ${how}: ${complaint.slice(-1_000)}`);
  return new PermanentFailure('parser_crashed', 'The process that read the file broke off: try again.', true, {
    cause,
  });
}

/** Removes the folders of processes that were killed before they could: their names say whose they were. */
export async function sweepLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    const [, pid, started = ''] = FOLDER.exec(name) ?? [];
    if (pid !== undefined && !mayBeAlive({ pid: Number(pid), started: started.replace('_', '/') || null }))
      await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}
