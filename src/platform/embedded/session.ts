import { createHash } from 'node:crypto';
import { Duplex } from 'node:stream';
import type { EmbeddedEngine, Session } from './engine.js';
import { framesOf, greeting, statementOf, textOf, withStatement, type Frame } from './wire.js';

let counter = 0;

/**
 * What `pg`'s client takes for its socket. Everything above it (result parsing, parameters, errors, callbacks, cursors)
 * is `pg` itself, so a query means the same here as against a server; below it the engine runs whole batches.
 */
export class EngineSession extends Duplex implements Session {
  readonly channels = new Set<string>();
  /** Deadline of this client's statements in ms, 0 for none; unset, the engine's own. */
  deadlineMs: number | undefined;
  readonly #id = ++counter;
  /** Its names of prepared statements, and theirs in the session that all share. */
  readonly #names = new Map<string, string>();
  #serverVersion = '';
  #greeted = false;
  #unread: Buffer = Buffer.alloc(0);
  #batch: Frame[] = [];

  constructor(
    readonly engine: EmbeddedEngine,
    readonly urgent: boolean,
  ) {
    super();
  }

  /** Called by `pg` in place of a TCP connect. */
  connect(): this {
    this.engine.join(this).then(
      (serverVersion) => {
        this.#serverVersion = serverVersion;
        return this.emit('connect');
      },
      (error: Error) => this.destroy(error),
    );
    return this;
  }

  // A socket's knobs that `pg` turns and that mean nothing between two threads. `setKeepAlive` is left out on purpose:
  // where it exists, BullMQ waits up to an hour for a notification instead of looking again every 10 s, and a
  // notification can be lost with a thread that is cut off.
  setNoDelay(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  receive(bytes: Uint8Array): void {
    if (!this.destroyed) this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  listened(sql: string): boolean {
    let gaveUp = false;
    const statements = sql.replaceAll(/--.*|\/\*[^]*?\*\//g, ' ');
    for (const [, un, quoted, plain] of statements.matchAll(/\b(un)?listen\s+(?:"((?:[^"]|"")+)"|([\w$]+|\*))/gi)) {
      const channel = quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? '';
      if (!un) this.channels.add(channel);
      else if (channel === '*') this.channels.clear();
      else this.channels.delete(channel);
      gaveUp ||= un !== undefined;
    }
    return gaveUp;
  }

  override _read(): void {
    // Answers are pushed as they come.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#unread = this.#unread.length > 0 ? Buffer.concat([this.#unread, chunk]) : chunk;
    if (!this.#greeted) this.#greet();
    const { frames, rest } = framesOf(this.#unread);
    this.#unread = rest;
    for (const message of frames) this.#take(message);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.engine.leave(this);
    done(error);
  }

  override _final(done: () => void): void {
    done();
    this.destroy();
  }

  /** The start-up packet is the only message without a type letter. `pg` sends it alone. */
  #greet(): void {
    if (this.#unread.length < 4 || this.#unread.length < this.#unread.readUInt32BE(0)) return;
    this.#unread = this.#unread.subarray(this.#unread.readUInt32BE(0));
    this.#greeted = true;
    this.receive(
      greeting(this.#id, {
        server_version: this.#serverVersion,
        server_encoding: 'UTF8',
        client_encoding: 'UTF8',
        DateStyle: 'ISO, MDY',
        integer_datetimes: 'on',
        standard_conforming_strings: 'on',
      }),
    );
  }

  #take(message: Frame): void {
    if (message.type === 'X') return; // goodbye; `pg` ends the stream next
    this.#batch.push(this.#inShared(message));
    if (!'QSH'.includes(message.type)) return;
    const frames = this.#batch.splice(0);
    this.engine.submit({ session: this, frames, sql: frames.map(textOf).join(';') });
  }

  /** Clients choose names as if each had a session of its own; in the one they share, what is the same has one name. */
  #inShared(message: Frame): Frame {
    const name = statementOf(message);
    if (name === '') return message;
    if (message.type === 'P') this.#names.set(name, createHash('sha1').update(message.bytes).digest('base64url'));
    return withStatement(message, this.#names.get(name) ?? name);
  }
}
