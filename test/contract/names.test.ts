import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NameLimits, resolveWithin } from '../../src/platform/names.js';

/** A name server, asked for a name and for addresses of version 4 or 6. `null`: it says nothing. */
type Answer = (name: string, version: 4 | 6) => number[] | 'unknown' | null;

// A name of /etc/hosts, where there is one other than localhost.
const listed = /^[\d.]+[ \t]+(?!localhost)(\S+)/m.exec(readFileSync('/etc/hosts', 'utf8'))?.[1];

let socket: Socket;
let asked: string[];
let answer: Answer;

beforeEach(async () => {
  asked = [];
  socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.on('message', (query, { port, address }) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += length + 1;
    }
    const name = labels.join('.');
    asked.push(name);
    const said = answer(name, query.readUInt16BE(at + 1) === 1 ? 4 : 6);
    if (said !== null) socket.send(reply(query, at + 5, said), port, address);
  });
});
afterEach(() => void socket.close());

/** RFC 1035, 4.1: the question again, and one record or none. */
function reply(query: Buffer, end: number, said: number[] | 'unknown'): Buffer {
  const head = Buffer.from(query.subarray(0, end));
  head.writeUInt16BE(said === 'unknown' ? 0x8183 : 0x8180, 2);
  const found = said !== 'unknown' && said.length > 0;
  head.writeUInt16BE(found ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  if (!found) return head;
  const type = said.length === 4 ? 1 : 28;
  return Buffer.concat([head, Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, said.length, ...said])]);
}

const resolve = (limits: NameLimits = {}) =>
  resolveWithin({ servers: [`127.0.0.1:${socket.address().port}`], silenceMs: 200, ...limits });

describe('a name that a user chose', () => {
  it('has all the addresses that its servers tell', async () => {
    answer = (_name, version) => (version === 4 ? [93, 184, 216, 34] : [0xfd, ...Array<number>(14).fill(0), 1]);
    expect((await resolve()('both.example')).sort()).toEqual(['93.184.216.34', 'fd00::1']);
  });

  it('has the address of one version where there is none of the other', async () => {
    answer = (_name, version) => (version === 4 ? [93, 184, 216, 34] : []);
    expect(await resolve()('four.example')).toEqual(['93.184.216.34']);
  });

  it('has none that nobody knows', async () => {
    answer = () => 'unknown';
    expect(await resolve()('nowhere.invalid')).toEqual([]);
  });

  it.skipIf(!listed)('may stand in the system’s own files, if no server knows it', async () => {
    answer = () => 'unknown';
    expect(await resolve()(listed ?? '')).not.toEqual([]);
    expect(asked).not.toEqual([]);
  });

  it('is this machine for localhost, which no server is asked for', async () => {
    answer = () => null;
    expect(await resolve()('localhost')).toContain('127.0.0.1');
    expect(asked).toEqual([]);
  });

  it('has none when its servers say nothing, and holds up nobody who asks the system', async () => {
    answer = () => null;
    const ended: string[] = [];
    const silent = Array.from({ length: 40 }, async (_, n) => {
      expect(await resolve()(`slow-${n}.example`)).toEqual([]);
      ended.push('a silent one');
    });
    while (asked.length < 40) await new Promise((done) => setTimeout(done, 5));
    await lookup('localhost').then(() => ended.push('the system'));
    await Promise.all(silent);
    expect(ended[0]).toBe('the system');
  });

  it('has none when its time is over, however often it may be asked', async () => {
    answer = () => null;
    expect(await resolve({ silenceMs: 60_000, totalMs: 200 })('slow.example')).toEqual([]);
  });
});
