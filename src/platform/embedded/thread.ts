import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { overdue, stopped, type ThreadLost } from './failures.js';

export interface ThreadSettings {
  dataDir: string;
  initSql: string[];
}

/** What the thread is started with: its settings, and PGlite's compiled program. */
export interface ThreadStart extends ThreadSettings {
  program: object;
}

export type Request = { kind: 'run'; bytes: Uint8Array } | { kind: 'close' };

/** What a batch of messages came to. `status` is the transaction's, undefined when the batch ended without a Sync. */
export interface Answered {
  kind: 'answered';
  output: Uint8Array;
  status: string | undefined;
  /** A LISTEN or UNLISTEN was among the statements. */
  listening: boolean;
  notifications: Uint8Array[];
}

export type Answer =
  Answered | { kind: 'opened'; serverVersion: string } | { kind: 'failed'; reason: string } | { kind: 'closed' };

const CLOSE_MS = 10_000;

// Node has it; Node's type declarations do not.
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<object> };

let compiled: Promise<object> | undefined;

/** PGlite's program. A process compiles it once: that is half of an opening, and two thirds of its processor time. */
function program(): Promise<object> {
  const pglite = createRequire(import.meta.url).resolve('@electric-sql/pglite');
  compiled ??= readFile(join(dirname(pglite), 'pglite.wasm'))
    .then((bytes) => WebAssembly.compile(bytes))
    .catch((error: unknown) => {
      compiled = undefined;
      throw error;
    });
  return compiled;
}

/** One life of the worker thread that owns PGlite: opened, asked one batch at a time, closed or lost. */
export class EngineThread {
  readonly worker: Worker;
  serverVersion = '';
  readonly #onLost: (error: ThreadLost) => void;
  #resolve: ((answer: Answer) => void) | undefined;
  #reject: ((error: ThreadLost) => void) | undefined;
  #reason = '';
  #ended = false;

  private constructor(start: ThreadStart, onLost: (error: ThreadLost) => void) {
    this.#onLost = onLost;
    this.worker = new Worker(new URL('./engine.worker.js', import.meta.url), {
      workerData: start,
      // With Node's 4 MB, runaway recursion in SQL overruns the thread's stack before PostgreSQL's own limit (error
      // 54001) and takes the engine with it; 16 MB is enough, twice that is for the next version.
      resourceLimits: { stackSizeMb: 32 },
    });
    this.worker.on('message', (answer: Answer) => {
      if (answer.kind === 'failed') void this.#stop(stopped((this.#reason = answer.reason)));
      else this.#resolve?.(answer);
    });
    this.worker.on('error', (error) => (this.#reason ||= error.message));
    this.worker.on('exit', (code) => {
      this.#reason ||= `its thread ended with code ${code}`;
      if (!this.#ended) (this.#reject ?? onLost)(stopped(this.#reason));
      this.#ended = true;
    });
  }

  /**
   * Starts a thread and opens the database on it, creating it in an empty directory (3 s; an existing one: 1 s, and half
   * of that the next time).
   * @param onLost called when the thread dies while nothing runs on it
   */
  static async open(settings: ThreadSettings, onLost: (error: ThreadLost) => void): Promise<EngineThread> {
    const thread = new EngineThread({ ...settings, program: await program() }, onLost);
    try {
      const opened = await thread.#reply();
      if (opened.kind === 'opened') thread.serverVersion = opened.serverVersion;
      return thread;
    } catch (cause) {
      throw new Error(`the database in ${settings.dataDir} could not be opened: ${thread.#reason}`, { cause });
    }
  }

  /**
   * Runs one batch of protocol messages. SQL errors are part of the answer.
   * @param deadlineMs after which the thread is terminated, 0 for none
   * @throws ThreadLost when the deadline passed (57014) or the thread died (57P01)
   */
  async run(bytes: Uint8Array, deadlineMs: number): Promise<Answered> {
    const reply = this.#reply();
    const timer = deadlineMs > 0 ? setTimeout(() => void this.#stop(overdue(deadlineMs)), deadlineMs) : undefined;
    try {
      // A copy of its own: a Buffer is a window on a slab that would be cloned as a whole.
      const own = new Uint8Array(bytes);
      this.worker.postMessage({ kind: 'run', bytes: own } satisfies Request, [own.buffer]);
      return (await reply) as Answered;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Shuts the database down in order; a thread that does not answer within 10 s is terminated (nothing is lost by it). */
  async close(): Promise<void> {
    this.#ended = true;
    const exited = new Promise<void>((resolve) => this.worker.once('exit', () => resolve()));
    const timer = setTimeout(() => void this.worker.terminate(), CLOSE_MS);
    this.worker.ref();
    this.worker.postMessage({ kind: 'close' } satisfies Request, []);
    await exited;
    clearTimeout(timer);
  }

  async #reply(): Promise<Answer> {
    try {
      return await new Promise<Answer>((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
      });
    } finally {
      this.#resolve = this.#reject = undefined;
    }
  }

  async #stop(error: ThreadLost): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const lose = this.#reject ?? this.#onLost;
    this.#resolve = undefined; // an answer that crosses with this would come from a thread that is already dying
    // Two engines on one directory lose rows: the next may only open once this one has really ended.
    await this.worker.terminate();
    lose(error);
  }
}
