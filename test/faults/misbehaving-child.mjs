// A parser process that does what its file tells it to: what a parser would do if a file had taken it over.
import dgram from 'node:dgram';
import dns from 'node:dns';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { getPriority } from 'node:os';
import { spawnSync } from 'node:child_process';
import { serveParses } from '../../dist/ingestion/parsers/parse-loop.js';

let seen = 0;

/** @type {Record<string, (argument: string) => unknown>} */
const deeds = {
  say: (text) => text,
  count: () => seen,
  pid: () => process.pid,
  priority: () => getPriority(),
  exit: (code) => process.exit(Number(code)),
  tire: () => (seen > 0 ? process.exit(1) : 'fresh'),
  crash: () => process.kill(process.pid, 'SIGSEGV'),
  throw: () => {
    throw new Error('it broke\0 off');
  },
  later: () => {
    setTimeout(() => process.exit(3), 50);
    return 'for now';
  },
  spin: () => {
    for (;;);
  },
  hang: () => new Promise(() => setInterval(() => {}, 1000)),
  buffers: (mib) => {
    const held = [];
    for (let count = 0; count < Number(mib); count += 16) held.push(Buffer.alloc(16 * 1024 * 1024, 1));
    return held.length;
  },
  pollute: () => {
    Reflect.set(Object.prototype, 'polluted', 'yes');
    return 'polluted';
  },
  replace: () => {
    const { parse } = JSON;
    JSON.parse = (text) => ({ ...parse(text), stolen: true });
    return 'replaced';
  },
  environment: () => JSON.stringify(process.env),
  read: (path) => readFileSync(path, 'utf8'),
  write: (path) => writeFileSync(path, 'written'),
  litter: () => writeFileSync('left-behind', 'written'),
  start: (program) => {
    const { error, status } = spawnSync(program);
    if (error) throw error;
    return status;
  },
  reach: async (port) => {
    const ways = [
      () => fetch(`http://127.0.0.1:${port}/`),
      () => new Promise((done, failed) => connect(Number(port), '127.0.0.1').on('connect', done).on('error', failed)),
      () => dns.promises.lookup('localhost'),
      () => new dns.promises.Resolver().resolve4('localhost'),
      () =>
        new Promise((done, failed) =>
          dgram.createSocket('udp4').send('x', Number(port), '127.0.0.1', (error) => (error ? failed(error) : done(0))),
        ),
    ];
    const outcomes = await Promise.allSettled(ways.map(async (way) => way()));
    return JSON.stringify(
      outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.message : 'reached')),
    );
  },
};

await serveParses(async (bytes) => {
  const [name = '', ...rest] = bytes.toString('utf8').split(' ');
  const answer = await deeds[name]?.(rest.join(' '));
  seen += 1;
  return {
    contentType: 'text/plain',
    parsed: { title: null, text: String(answer), blocks: [], pages: [] },
  };
});
