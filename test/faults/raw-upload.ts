import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Answer, Service } from '../service/harness.js';

export const boundary = 'a-boundary-between-parts';

/** One part of a multipart body; with a file name it is a file. */
export function part(headers: string, content: Uint8Array | string): Buffer {
  const start = `--${boundary}\r\nContent-Disposition: form-data; ${headers}\r\n\r\n`;
  return Buffer.concat([Buffer.from(start), Buffer.from(content), Buffer.from('\r\n')]);
}

/** The part that every upload has, under a name as it stands in the header. */
export const filePart = (content: Uint8Array | string, filename = 'a.txt') =>
  part(`name="file"; filename="${filename}"`, content);

export const end = Buffer.from(`--${boundary}--\r\n`);

/** The head of a request that uploads to a base, on a connection of its own. */
export function head(service: Service, base: string, headers: Record<string, string | number> = {}): string {
  const lines = Object.entries({
    host: 'lectern',
    authorization: `Bearer ${service.key}`,
    'content-type': `multipart/form-data; boundary=${boundary}`,
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  return `POST /v1/knowledge-bases/${base}/documents HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** A connection to the service; what breaks it is the test's business, not an accident. */
export async function dial(service: Service): Promise<Socket> {
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Sends a whole body and reads what is answered: what no client library would send, to its last byte. */
export async function sendRaw(
  service: Service,
  base: string,
  body: Buffer,
  headers: Record<string, string | number> = {},
): Promise<Pick<Answer, 'status' | 'body'>> {
  const socket = await dial(service);
  socket.write(head(service, base, { 'content-length': body.length, connection: 'close', ...headers }));
  socket.write(body);
  return answerOn(socket);
}

/** Reads until the service closes the connection. */
export async function answerOn(socket: Socket): Promise<Pick<Answer, 'status' | 'body'>> {
  let text = '';
  socket.on('data', (received: Buffer) => (text += received.toString()));
  await new Promise((resolve) => socket.once('close', resolve));
  const [first = '', ...rest] = text.split('\r\n\r\n');
  const json = /\{.*\}/s.exec(rest.join())?.[0];
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]), body: json ? JSON.parse(json) : null };
}
