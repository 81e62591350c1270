import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { ApiError, type ErrorCode } from '../../errors.js';
import { problem } from './problem.filter.js';

const lingerMs = 5000;

const codes: Record<string, ErrorCode> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
};

/** What is no HTTP request, or came too slowly to become one: answered in the form of every error, as its last word. */
export function refuseBroken(error: NodeJS.ErrnoException, socket: Socket): void {
  // After an earlier answer this could be the rest of a request that was refused before it was read: two answers to one.
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) return void socket.destroy();
  const failure = new ApiError(codes[error.code ?? ''] ?? 'bad_request');
  const requestId = randomUUID();
  const body = JSON.stringify(problem(failure, requestId));
  socket.end(
    `HTTP/1.1 ${failure.status} ${STATUS_CODES[failure.status]}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${requestId}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

/**
 * Answered before all of it was read (too large, not allowed): the rest is read and thrown away for a while, because a
 * connection closed at once takes the answer with it, and one left alone keeps its client sending until it is idle for
 * long (72 s measured). Whoever still sends then is cut off.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  const late = setTimeout(() => request.socket.destroy(), lingerMs).unref();
  request.once('close', () => clearTimeout(late));
  request.once('end', () => clearTimeout(late));
  request.resume();
}
