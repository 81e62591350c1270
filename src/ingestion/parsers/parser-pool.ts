import type { Config } from '../../config.js';
import { PermanentFailure } from '../../errors.js';
import type { Lane } from '../../knowledge/revisions.js';
import type { Parsed } from './parse-protocol.js';
import { Launcher } from './launcher.js';
import { ParserProcess, sweepLeftovers } from './parser-process.js';
import type { TypeHint } from './media-types.js';

export interface ParseOptions {
  /** Whose file it is, e.g. a tenant's id: no process reads files of two owners. */
  owner: string;
  /** A `slow` one has a place that the others never take, takes none of theirs, and gives way to them. */
  lane?: Lane;
  /**
   * Processor time after which it leaves its place, where less than the whole time is granted: it goes on in the slow
   * one's if that is free and `moves` says so, and is given up otherwise.
   */
  patienceMs?: number;
  /** Asked at most once, and whoever says yes knows that it is a slow one from now on. */
  moves?: () => boolean;
  signal?: AbortSignal;
  /** Is told the largest resident size of the process meanwhile, in MiB, however it ended; 0 where the system does not say. */
  onPeak?: (peakMb: number) => void;
}

type Ordered = ParseOptions & { lane: Lane; signal: AbortSignal; mayGoOn: () => boolean };

// A process at rest holds some 100 MB.
const IDLE_MS = 30_000;
// Starting one costs half a second of a processor, and several while others read. After so many files of one process there is
// work for long, behind which another owner's file should not wait for that as well.
const SPARE_FROM = 10;

/**
 * Reads untrusted files in processes that can be killed. They stay warm between files (starting one costs more than most
 * files do), but only for one owner, for so many files, and while nothing about them has changed. Whatever happens to
 * them, this process only sees a rejected promise.
 */
export class ParserPool {
  /** Of no owner: a spare one, that has read nothing yet. */
  private readonly idle: { owner: string | null; process: ParserProcess; rest: NodeJS.Timeout }[] = [];
  private startingSpare: Promise<void> | null = null;
  /** Whose files are being read: the spare process is for somebody who has none. */
  private readonly atWork: string[] = [];
  private readonly working = new Set<Promise<unknown>>();
  private readonly stop = new AbortController();
  private readonly launcher = new Launcher();

  private readonly places: Record<Lane, Places>;

  /** @param entry see `spawnParser` */
  constructor(
    private readonly settings: Config['parser'],
    private readonly entry?: string,
  ) {
    this.places = { fast: new Places(settings.processes - 1), slow: new Places(1) };
  }

  onApplicationBootstrap(): Promise<void> {
    return sweepLeftovers();
  }

  /**
   * Throws `PermanentFailure`: what `sniff` and the parsers throw, and `parser_timeout`, `parser_memory`,
   * `parser_crashed`. Any other error is no fault of the file.
   */
  parse(path: string, hint: TypeHint, options: ParseOptions): Promise<Parsed> {
    const reading = this.inPlace(path, hint, options);
    this.track(reading);
    return reading;
  }

  /** Ends every process; what is being read is rejected with a reason that is no fault of the file. */
  async close(): Promise<void> {
    this.stop.abort(new Error('the parsers are closing'));
    await Promise.all(this.idle.splice(0).map(({ process }) => process.end()));
    await Promise.allSettled(this.working);
    await this.launcher.close();
  }

  /** After the workers have ended, whose files are still being read until then. */
  onApplicationShutdown(): Promise<void> {
    return this.close();
  }

  private get busy(): number {
    return this.places.fast.taken + this.places.slow.taken;
  }

  private async inPlace(path: string, hint: TypeHint, options: ParseOptions): Promise<Parsed> {
    const signal = AbortSignal.any([this.stop.signal, ...(options.signal ? [options.signal] : [])]);
    const lane = options.lane ?? 'fast';
    let place = this.places[lane];
    await place.take();
    const mayGoOn = () => {
      const { slow } = this.places;
      if (place === slow) return true; // read once more, after the process it began in broke
      if (!slow.takeFree()) return false;
      if (!options.moves?.()) {
        slow.leave();
        return false;
      }
      place.leave();
      place = slow;
      return true;
    };
    try {
      signal.throwIfAborted();
      // A priority that was lowered cannot be raised again, so each slow file has a process of its own.
      const warm = lane === 'fast' ? await this.takeIdle(options.owner) : null;
      this.atWork.push(options.owner);
      try {
        return await this.read(path, hint, { ...options, lane, signal, mayGoOn }, warm);
      } finally {
        this.atWork.splice(this.atWork.indexOf(options.owner), 1);
      }
    } finally {
      place.leave();
      if (this.idle.some(({ process }) => process.served >= SPARE_FROM)) this.haveSpare();
    }
  }

  private track(work: Promise<unknown>): void {
    this.working.add(work);
    void work.finally(() => this.working.delete(work)).catch(() => undefined);
  }

  /** Where there is room for one. */
  private haveSpare(): void {
    if (this.startingSpare || this.idle.some(({ owner }) => owner === null)) return;
    if (this.idle.length + this.busy >= this.settings.processes) return;
    this.startingSpare = this.startSpare().finally(() => (this.startingSpare = null));
    this.track(this.startingSpare);
  }

  private async startSpare(): Promise<void> {
    try {
      const spare = await this.start('fast', this.stop.signal);
      if (this.stop.signal.aborted) await spare.end();
      else this.rest(spare, null);
    } catch {
      // whoever needs one starts it, and hears why it does not start
    }
  }

  private start(lane: Lane, signal: AbortSignal): Promise<ParserProcess> {
    const { heapMb, rssMb } = this.settings;
    return ParserProcess.start(this.launcher, { heapMb, rssMb, lane, entry: this.entry }, signal);
  }

  private async takeIdle(owner: string): Promise<ParserProcess | null> {
    const last = (of: string | null) => this.idle.findLastIndex((candidate) => candidate.owner === of);
    let at = last(owner);
    if (at < 0 && !this.atWork.includes(owner)) {
      await this.startingSpare;
      at = last(owner) < 0 ? last(null) : last(owner);
    }
    const [found] = at < 0 ? [] : this.idle.splice(at, 1);
    clearTimeout(found?.rest);
    if (found?.process.reusable) return found.process;
    await found?.process.end();
    return null;
  }

  private async read(path: string, hint: TypeHint, options: Ordered, warm: ParserProcess | null): Promise<Parsed> {
    const { reuse, bounds, timeoutMs } = this.settings;
    while (this.idle.length > 0 && this.idle.length + this.busy > this.settings.processes) await this.endOldest();
    const process = warm ?? (await this.start(options.lane, options.signal));
    try {
      const { patienceMs = Infinity, mayGoOn } = options;
      const reply = await process.parse(path, { hint, bounds }, { timeoutMs, patienceMs, mayGoOn }, options.signal);
      if (!('failure' in reply)) return reply;
      const { code, message, retryable } = reply.failure;
      throw new PermanentFailure(code, message, retryable);
    } catch (error) {
      // What an earlier file left in a process must not fail this one.
      if (process.served > 0 && isTheProcess(error)) return await this.read(path, hint, options, null);
      throw error;
    } finally {
      options.onPeak?.(process.peakMb);
      const again = options.lane === 'fast' && process.reusable && process.served < reuse;
      if (again && !this.stop.signal.aborted) this.rest(process, options.owner);
      else await process.end();
    }
  }

  private rest(process: ParserProcess, owner: string | null): void {
    const entry = { owner, process, rest: setTimeout(() => void this.endIdle(process), IDLE_MS).unref() };
    this.idle.push(entry);
  }

  private async endIdle(process: ParserProcess): Promise<void> {
    const at = this.idle.findIndex((candidate) => candidate.process === process);
    if (at >= 0) this.idle.splice(at, 1);
    await process.end();
  }

  private async endOldest(): Promise<void> {
    const oldest = this.idle.shift();
    clearTimeout(oldest?.rest);
    await oldest?.process.end();
  }
}

/** So many may read at the same time; whoever waits longest is next. */
class Places {
  private readonly waiting: (() => void)[] = [];
  taken = 0;

  constructor(private readonly most: number) {}

  async take(): Promise<void> {
    if (!this.takeFree()) await new Promise<void>((done) => this.waiting.push(done));
  }

  /** @returns whether there was one to be had at once */
  takeFree(): boolean {
    if (this.taken === this.most) return false;
    this.taken += 1;
    return true;
  }

  leave(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.taken -= 1;
  }
}

const isTheProcess = (error: unknown): boolean =>
  error instanceof PermanentFailure && (error.code === 'parser_crashed' || error.code === 'parser_memory');
