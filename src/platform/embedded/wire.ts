/**
 * The few pieces of PostgreSQL's wire protocol (version 3) that sit between `pg` and an engine without a socket:
 * cutting bytes into messages, and writing the handful of answers that no server is there to give.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** One message: its type letter and all its bytes, type and length included. */
export interface Frame {
  type: string;
  bytes: Buffer;
}

/** What an ErrorResponse carries besides the sentence. `code` is an SQLSTATE. */
export interface WireError {
  code: string;
  message: string;
  detail?: string;
  hint?: string;
  severity?: 'ERROR' | 'FATAL';
}

/** Cuts `bytes` into whole messages and returns them with what is left over. */
export function framesOf(bytes: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) break;
    frames.push({ type: String.fromCharCode(bytes[at] ?? 0), bytes: bytes.subarray(at, end) });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

function frame(type: string, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

export const SYNC = frame('S');

/** A simple Query message: one or several statements, no parameters. */
export const simpleQuery = (sql: string): Buffer => frame('Q', sql);

/** ParseComplete: a statement is read and has its name. */
export const PARSED = frame('1');

/** ReadyForQuery with the transaction status: `I` idle, `T` in a transaction, `E` in a failed one. */
export const readyForQuery = (status: 'I' | 'T' | 'E'): Buffer => frame('Z', Buffer.from(status));

/** ErrorResponse, as a server would send it. */
export function errorResponse({ severity = 'ERROR', code, message, detail, hint }: WireError): Buffer {
  const fields = [`S${severity}`, `V${severity}`, `C${code}`, `M${message}`];
  if (detail) fields.push(`D${detail}`);
  if (hint) fields.push(`H${hint}`);
  return frame('E', ...fields, Buffer.from([0]));
}

/** The answer to a start-up packet: authentication waived, the parameters `pg` and its users look at, ready. */
export function greeting(processId: number, parameters: Record<string, string>): Buffer {
  return Buffer.concat([
    frame('R', int32(0)),
    ...Object.entries(parameters).map(([name, value]) => frame('S', name, value)),
    frame('K', int32(processId), int32(0)),
    readyForQuery('I'),
  ]);
}

/** The SQL text inside a Query or Parse message, empty for any other. */
export function textOf({ type, bytes }: Frame): string {
  if (type === 'Q') return bytes.toString('utf8', 5, bytes.length - 1);
  if (type !== 'P') return '';
  const start = bytes.indexOf(0, 5) + 1;
  return bytes.toString('utf8', start, bytes.indexOf(0, start));
}

/**
 * The name of the prepared statement that a message makes or uses, empty where it has none. Close is left out: a client
 * gives up its own name, and to close what has no name in the session is no error.
 */
export function statementOf(message: Frame): string {
  const at = statementNameAt(message);
  return at === undefined ? '' : message.bytes.toString('utf8', at, message.bytes.indexOf(0, at));
}

/** The same message about the statement called `name`. */
export function withStatement(message: Frame, name: string): Frame {
  const at = statementNameAt(message);
  if (at === undefined) return message;
  const body = [message.bytes.subarray(5, at), name, message.bytes.subarray(message.bytes.indexOf(0, at) + 1)];
  return { type: message.type, bytes: frame(message.type, ...body) };
}

function statementNameAt({ type, bytes }: Frame): number | undefined {
  if (type === 'P') return 5;
  if (type === 'B') return bytes.indexOf(0, 5) + 1;
  return type === 'D' && bytes[5] === 'S'.charCodeAt(0) ? 6 : undefined;
}

/** The channel of a NotificationResponse. */
export const channelOf = (notification: Buffer): string => notification.toString('utf8', 9, notification.indexOf(0, 9));
