import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import type { Answer, Request, ThreadStart } from './thread.js';
import { framesOf } from './wire.js';

// PGlite runs its query on the thread that calls it, for as long as the query takes (990 of 1,047 ms of event loop
// blocked, measured), and can't be interrupted from within. A thread of its own keeps the service answering, and can be
// terminated. What passes between the threads are PostgreSQL's own protocol messages: types, errors and transaction
// status stay exactly what the server said.

const { dataDir, initSql, program } = workerData as ThreadStart;
const port = parentPort;
if (!port) throw new Error('engine.worker.js runs as a worker thread of the embedded engine');

const say = (answer: Answer, transfer: ArrayBuffer[] = []): void => port.postMessage(answer, transfer);

try {
  const db = await PGlite.create({ dataDir, pgliteWasmModule: program, extensions: { vector } });
  await db.exec('create extension if not exists vector');
  for (const sql of initSql) await db.exec(sql);
  const version = await db.query<{ server_version: string }>('show server_version');
  port.on('message', (request: Request) => void serve(db, request));
  say({ kind: 'opened', serverVersion: version.rows[0]?.server_version ?? '' });
} catch (error) {
  say({ kind: 'failed', reason: reasonOf(error) });
}

async function serve(db: PGlite, request: Request): Promise<void> {
  if (request.kind === 'close') {
    await db.close();
    say({ kind: 'closed' });
    port?.close();
    return;
  }
  try {
    const { output, ...rest } = await run(db, request.bytes);
    say({ kind: 'answered', output, ...rest }, [output.buffer]);
  } catch (error) {
    // An SQL error is an answer. What arrives here is the engine itself giving up (a WebAssembly trap, a full disk):
    // its memory can't be trusted any more, only its files.
    say({ kind: 'failed', reason: reasonOf(error) });
    port?.close();
  }
}

async function run(db: PGlite, bytes: Uint8Array) {
  const chunks: Buffer[] = [];
  // The bytes handed out are a window on WebAssembly memory that the next write overwrites: copy.
  await db.execProtocolRawStream(bytes, { onRawData: (data) => void chunks.push(Buffer.from(data)) });
  const notifications: Uint8Array[] = [];
  const kept: Buffer[] = [];
  let status: string | undefined;
  let listening = false;
  for (const { type, bytes: message } of framesOf(Buffer.concat(chunks)).frames) {
    // A notification belongs to whoever listens, not to whoever happened to run a statement when it arrived.
    if (type === 'A') notifications.push(new Uint8Array(message));
    else kept.push(message);
    if (type === 'Z') status = String.fromCharCode(message[5] ?? 0);
    if (type === 'C' && /^(UN)?LISTEN\b/.test(message.toString('latin1', 5))) listening = true;
  }
  // PGlite swallows what is not an SQL error (its stack overrunning, memory used up) and then says nothing at all.
  const flushed = framesOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).frames.at(-1)?.type === 'H';
  if (!status && !flushed) throw new Error('the engine broke off in the middle of a statement');
  const output = new Uint8Array(kept.reduce((length, message) => length + message.length, 0));
  let at = 0;
  for (const message of kept) {
    output.set(message, at);
    at += message.length;
  }
  return { output, status, listening, notifications };
}

function reasonOf(error: unknown): string {
  // Emscripten throws plain objects as well as errors.
  const { name, message } = (error ?? {}) as { name?: string; message?: string };
  return [name, message].filter(Boolean).join(': ') || String(error);
}
