import { escapeIdentifier } from 'pg';
import { claimDataDir, type DataDir } from './datadir.js';
import { idleInTransaction, notOpen, ThreadLost } from './failures.js';
import { EngineThread, type Answered } from './thread.js';
import { SharedStatements } from './statements.js';
import { channelOf, errorResponse, type Frame, readyForQuery, simpleQuery, SYNC, type WireError } from './wire.js';

/** Engine options. Times are milliseconds; 0 means no limit. */
export interface EngineOptions {
  dataDir: string;
  /** A statement that runs longer is cut off: the worker thread is terminated and the database reopened. */
  statementTimeoutMs: number;
  /** A transaction that rests longer than this between two statements while others wait is rolled back. */
  idleInTransactionTimeoutMs: number;
  /** Run after every opening and reopening, in the one session that everybody shares. */
  initSql: string[];
}

/** One client's end of the engine. */
export interface Session {
  /** Channels this client listens on. */
  readonly channels: ReadonlySet<string>;
  /** Its own deadline, where it has one. */
  readonly deadlineMs: number | undefined;
  /** Whether it goes before the others while the engine is busy. */
  readonly urgent: boolean;
  receive(bytes: Uint8Array): void;
  /** Takes note of the LISTEN and UNLISTEN in `sql`. @returns whether a channel was given up */
  listened(sql: string): boolean;
}

/** Messages that belong together: one simple query, or a statement's messages up to their Sync (or Flush). */
export interface Batch {
  session: Session;
  frames: readonly Frame[];
  sql: string;
}

// While urgent clients keep the engine busy, the others get a turn this often, or they would never end.
const PATIENCE_MS = 250;
// Plans are kept, and nobody here counts anew how large the tables have become: after this long, they are made again.
const PLANS_LAST_MS = 30_000;

const ROLLBACK = Buffer.concat([SYNC, simpleQuery('rollback')]);
const DISCARD_PLANS = simpleQuery('discard plans');
const FAIL_TRANSACTION = simpleQuery('begin; select 1/0');
const ENDS_TRANSACTION = /^(?:\s|--.*\n|\/\*[^]*?\*\/)*(rollback|abort)\b(?!\s+to\b)/i;

/**
 * The engine on one data directory: the thread with PGlite, and the queue before it. PGlite has one session, so from the
 * moment a client's transaction opens until it ends that client holds the engine and the others wait in line. Where a
 * transaction stands is what the server reports after each batch, never a guess from the SQL.
 */
export class EmbeddedEngine {
  readonly #sessions = new Set<Session>();
  /** Clients whose transaction is gone, and who have yet to hear of it. */
  readonly #lost = new Map<Session, WireError>();
  readonly #statements = new SharedStatements();
  #queue: Batch[] = [];
  #dir: DataDir | undefined;
  #thread: Promise<EngineThread> | undefined;
  #holder: Session | undefined;
  #leftOpen = false;
  #unlistened = false;
  #work: Promise<void> | undefined;
  #rest: NodeJS.Timeout | undefined;
  #closing = false;
  #lastPatient = 0;
  #planned = performance.now();

  /** @param after an engine on the same directory that is still closing */
  constructor(
    readonly options: EngineOptions,
    readonly after?: Promise<void>,
  ) {}

  /** Registers a client, opening the database for the first one. @returns the server's version */
  async join(session: Session): Promise<string> {
    if (this.#closing) throw new Error('the embedded database is closed');
    this.#sessions.add(session);
    const { serverVersion, worker } = await this.#open();
    worker.ref();
    return serverVersion;
  }

  /** Forgets a client: what it had queued is dropped, its open transaction rolled back. */
  leave(session: Session): void {
    this.#sessions.delete(session);
    this.#queue = this.#queue.filter((batch) => batch.session !== session);
    this.abandon(session);
  }

  /** Queues a batch; its answer arrives at the session's `receive`. */
  submit(batch: Batch): void {
    this.#queue.push(batch);
    this.#pump();
  }

  /** Rolls back the transaction that a client left open, if it did. */
  abandon(session: Session): void {
    this.#lost.delete(session);
    if (this.#holder === session) this.#leftOpen = true;
    this.#pump();
  }

  /** Ends the thread in order and gives the directory back. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#work;
    const thread = await this.#thread?.catch(() => undefined);
    this.#thread = undefined;
    await thread?.close();
    this.#dir?.lock.release();
    this.#dir = undefined;
  }

  #open(): Promise<EngineThread> {
    this.#thread ??= this.#start().catch((error: unknown) => {
      this.#thread = undefined;
      throw error;
    });
    return this.#thread;
  }

  /** Opens again without waiting for it: should that fail, the next query tries once more and says why it can't. */
  #reopen(): void {
    this.#open().catch(() => undefined);
  }

  async #start(): Promise<EngineThread> {
    const { dataDir, initSql } = this.options;
    await this.after;
    const dir = (this.#dir ??= claimDataDir(dataDir));
    try {
      const thread = await EngineThread.open({ dataDir: dir.path, initSql }, (error) => this.#died(error));
      dir.initialised();
      // What lived in the session of the thread before.
      this.#statements.forget();
      await thread.run(this.#listens(), 0);
      return thread;
    } catch (error) {
      dir.lock.release();
      this.#dir = undefined;
      throw error;
    }
  }

  #listens(): Buffer {
    const channels = new Set([...this.#sessions].flatMap((session) => [...session.channels]));
    return simpleQuery([...channels].map((channel) => `listen ${escapeIdentifier(channel)}`).join(';'));
  }

  /** The thread died with nothing running on it: reopen at once, so that notifications keep arriving. */
  #died(error: ThreadLost): void {
    this.#thread = undefined;
    if (this.#holder) this.#lost.set(this.#holder, error.wire);
    this.#holder = undefined;
    if (this.#sessions.size > 0 && !this.#closing) this.#reopen();
  }

  #pump(): void {
    if (this.#work) return;
    if (this.#leftOpen || this.#next() >= 0) this.#work = this.#drain();
    else this.#rested();
  }

  async #drain(): Promise<void> {
    clearTimeout(this.#rest);
    this.#rest = undefined;
    for (;;) {
      if (this.#holder && !this.#sessions.has(this.#holder)) this.#leftOpen = true;
      if (this.#leftOpen) await this.#rollBack();
      const next = this.#next();
      const batch = next < 0 ? undefined : this.#queue.splice(next, 1)[0];
      if (!batch) break;
      if (!this.#holder && performance.now() - this.#planned > PLANS_LAST_MS) await this.#planAnew();
      if (!batch.session.urgent) this.#lastPatient = performance.now();
      await this.#run(batch);
    }
    this.#work = undefined;
    this.#rested();
  }

  /** The next batch's place in the queue, -1 when the only ones there belong to clients that have to wait. */
  #next(): number {
    if (this.#holder) return this.#queue.findIndex(({ session }) => session === this.#holder);
    const first = this.#queue[0];
    if (!first || first.session.urgent || performance.now() - this.#lastPatient > PATIENCE_MS) return first ? 0 : -1;
    return Math.max(
      0,
      this.#queue.findIndex(({ session }) => session.urgent),
    );
  }

  async #run({ session, frames, sql }: Batch): Promise<void> {
    const lost = this.#lost.get(session);
    this.#lost.delete(session);
    if (lost && !ENDS_TRANSACTION.test(sql)) return this.#fail(session, lost);
    try {
      await this.#open(); // a new thread knows no statement
      const { bytes, answer } = this.#statements.translate(frames);
      const answered = await this.#ask(bytes, session.deadlineMs ?? this.options.statementTimeoutMs);
      await this.#settle(session, sql, { ...answered, output: answer(answered.output) });
    } catch (error) {
      if (!(error instanceof ThreadLost)) {
        this.#holder = undefined;
        session.receive(Buffer.concat([errorResponse(notOpen(error)), readyForQuery('I')]));
      } else if (this.#holder === session) {
        await this.#fail(session, error.wire);
      } else {
        session.receive(Buffer.concat([errorResponse(error.wire), readyForQuery('I')]));
        this.#reopen();
      }
    }
  }

  async #ask(bytes: Uint8Array, deadlineMs: number): Promise<Answered> {
    const thread = await this.#open();
    try {
      return await thread.run(bytes, deadlineMs);
    } catch (error) {
      this.#thread = undefined;
      throw error;
    }
  }

  async #settle(session: Session, sql: string, answer: Answered): Promise<void> {
    this.#holder = answer.status === 'I' ? undefined : session;
    if (answer.listening) this.#unlistened = session.listened(sql) || this.#unlistened;
    for (const bytes of answer.notifications) {
      const channel = channelOf(Buffer.from(bytes));
      for (const listener of this.#sessions) if (listener.channels.has(channel)) listener.receive(bytes);
    }
    session.receive(answer.output);
    if (!this.#unlistened || this.#holder) return;
    // UNLISTEN spoke for everybody in the shared session: the others still want to hear.
    this.#unlistened = false;
    await this.#ask(this.#listens(), 0).catch(() => undefined); // a lost thread listens again when it reopens
  }

  /** Tells a client that its transaction is gone, in PostgreSQL's way: the error, then a transaction that only ends. */
  async #fail(session: Session, error: WireError): Promise<void> {
    const status = await this.#ask(FAIL_TRANSACTION, 0).then(
      () => 'E' as const,
      () => 'I' as const,
    );
    this.#holder = status === 'E' ? session : undefined;
    session.receive(Buffer.concat([errorResponse(error), readyForQuery(status)]));
  }

  async #planAnew(): Promise<void> {
    this.#planned = performance.now();
    await this.#ask(DISCARD_PLANS, 0).catch(() => undefined); // a lost thread has none
  }

  async #rollBack(): Promise<void> {
    this.#leftOpen = false;
    await this.#ask(ROLLBACK, 0).catch(() => undefined); // a lost thread has rolled back all by itself
    this.#holder = undefined;
  }

  /** Nothing can run. If that is because somebody sits on an open transaction, not for ever. */
  #rested(): void {
    if (this.#sessions.size === 0) void this.#thread?.then(({ worker }) => worker.unref()).catch(() => undefined);
    const { idleInTransactionTimeoutMs: limit } = this.options;
    const holder = this.#holder;
    if (!holder || this.#rest || limit === 0 || holder.deadlineMs === 0 || this.#queue.length === 0) return;
    this.#rest = setTimeout(() => {
      this.#lost.set(holder, idleInTransaction(limit));
      this.#leftOpen = true;
      this.#pump();
    }, limit);
  }
}
