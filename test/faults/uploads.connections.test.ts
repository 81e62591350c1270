import { once } from 'node:events';
import { mkdir, readdir, readlink } from 'node:fs/promises';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HttpAdapterHost } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';
import { answerOn, dial, end, filePart, head, sendRaw } from './raw-upload.js';
import { until } from './until.js';

let service: Service;
let library: Library;
let incoming: string;

/** Connections to the service, and uploaded files that it has open. */
async function openFiles(): Promise<number> {
  const server: Server = service.part(HttpAdapterHost).httpAdapter.getHttpServer();
  const connections = await promisify(server.getConnections.bind(server))();
  const links = (await readdir('/proc/self/fd')).map((name) => readlink(`/proc/self/fd/${name}`).catch(() => ''));
  return connections + (await Promise.all(links)).filter((link) => link.includes('/blobs/')).length;
}

beforeAll(async () => {
  service = await startService({
    env: { REQUEST_TIMEOUT_MS: '4000', HEADERS_TIMEOUT_MS: '1000', UPLOADS_AT_ONCE: '300' },
  });
  library = await openLibrary(service);
  incoming = join(service.dataDir, 'blobs', 'incoming');
  await mkdir(incoming, { recursive: true });
});
afterAll(() => service.stop());

describe('connections that fail while they upload', () => {
  it('3: 500 that are cut in the middle leave no row, no file and no descriptor', async () => {
    const body = Buffer.concat([filePart('x'.repeat(2000)), end]);
    const cut = async (at: number) => {
      const socket = await dial(service);
      socket.write(head(service, library.base, { 'content-length': body.length }));
      socket.write(body.subarray(0, at));
      // The service has begun to read before it is cut off.
      await new Promise<void>((resolve) => socket.write('', () => setImmediate(resolve)));
      socket.destroy();
      await once(socket, 'close');
    };
    await cut(100);
    await until('the first to be cleared', async () => (await readdir(incoming)).length === 0, 5);
    const before = await openFiles();
    for (let round = 0; round < 20; round++)
      await Promise.all(Array.from({ length: 25 }, (_, n) => cut((round * 25 + n) * 4)));
    await until('files to be cleared', async () => (await readdir(incoming)).length === 0, 5);
    await until('descriptors to be given back', async () => (await openFiles()) <= before + 5, 5);
    expect((await library.list()).data).toEqual([]);
    // So many at once may have been too much for a moment, which it says by 503.
    await until('room for more', async () => (await sendRaw(service, library.base, body)).status === 202, 10);
  });

  it('3: 300 that are cut before the service reads them do not take up room for ever', async () => {
    const before = await openFiles();
    await service.database().asOwner(async (tx) => {
      // Whoever looks up the base waits for this transaction to end.
      await tx.run('lock table knowledge_base in access exclusive mode');
      const sockets = await Promise.all(Array.from({ length: 300 }, () => dial(service)));
      for (const socket of sockets) {
        socket.write(head(service, library.base, { 'content-length': 1000 }));
        socket.write(filePart('begun'));
      }
      await service.call('GET', '/health/live');
      for (const socket of sockets) socket.destroy();
      await service.call('GET', '/health/live');
    });
    await until('descriptors to be given back', async () => (await openFiles()) <= before + 5, 5);
    await until('room for more', async () => (await library.upload({ content: 'After.' })).status === 202, 10);
    expect((await library.upload({ content: 'And again.' })).status).toBe(202);
  });

  it('4: 200 that send a byte now and then are closed when their time is up, and the API lives on', async () => {
    const slow = async () => {
      const socket = await dial(service);
      socket.write(head(service, library.base, { 'content-length': 1000 }));
      socket.write(filePart('begun').subarray(0, -2));
      const drip = setInterval(() => socket.write('x'), 500);
      return answerOn(socket).finally(() => clearInterval(drip));
    };
    const answers = Promise.all(Array.from({ length: 200 }, slow));
    await until('uploads to have begun', async () => (await readdir(incoming)).length > 50, 10);
    expect((await service.call('GET', '/health/live')).status).toBe(200);
    expect((await library.upload({ content: 'Sent meanwhile.' })).status).toBe(202);
    for (const { status, body } of await answers) expect([status, body?.code]).toEqual([408, 'request_timeout']);
    await until('their files to be cleared', async () => (await readdir(incoming)).length === 0, 5);
  });

  it('4: headers that never end are cut off too', async () => {
    const socket = await dial(service);
    socket.write(head(service, library.base).slice(0, -2));
    const drip = setInterval(() => socket.write('x-more: 1\r\n'), 200);
    const { status, body } = await answerOn(socket).finally(() => clearInterval(drip));
    expect([status, body.code]).toEqual([408, 'request_timeout']);
  });

  it('what is no request at all, or one with endless headers, is answered in the form of every error', async () => {
    for (const [sent, expected] of [
      ['NOT HTTP\r\n\r\n', [400, 'bad_request']],
      [`GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`, [431, 'headers_too_large']],
    ] as const) {
      const socket = await dial(service);
      socket.write(sent);
      const { status, body } = await answerOn(socket);
      expect([status, body.code]).toEqual(expected);
    }
  });
});
