import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import type { Resolve } from '../../src/platform/names.js';
import { OutboundClient } from '../../src/platform/outbound.js';

let server: Server;
let port: number;
let seen: string[] = [];
/** What the server answers. */
let answer: (path: string, write: ServerResponse) => void;

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push(`${request.headers.host} ${request.url}`);
    answer(request.url ?? '', response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
afterEach(() => {
  seen = [];
});

const client = (allow = '', resolve?: Resolve, limitMs?: number) =>
  new OutboundClient(readConfig({ OUTBOUND_ALLOW_CIDRS: allow }), resolve, limitMs);

/** One that may reach loopback. */
const allowed = (resolve: Resolve, limitMs?: number) => client('127.0.0.0/8', resolve, limitMs);

const post = (url: string, by = client()) => by.post(url, {}, '{}');

/** A resolver that gives these addresses, one list a question, the last one again and again. */
const resolver =
  (...lists: string[][]): Resolve =>
  async () =>
    (lists.length > 1 ? lists.shift() : lists[0]) ?? [];

/** Of public addresses only, on these ports. */
const onPorts = (ports?: string) =>
  new OutboundClient(readConfig({ OUTBOUND_PORTS: ports }), resolver(['93.184.216.34']));

describe('an address that is not public', () => {
  // undici never asks its lookup hook about a literal address, however it is written.
  it.each([
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '0177.0.0.1',
    '127.1',
    '①②⑦.⓪.⓪.①',
    '127。0。0。1',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b:1::7f00:1]',
    '[2002:7f00:1::]',
    '[2001:0:7f00:1::]',
    '[fd00::1]',
    '[fe80::1]',
    '[ff02::1]',
    '[2001:db8::1]',
    '[100::1]',
    '[3fff::1]',
    '[5f00::1]',
    'localhost',
    'localhost.',
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.0.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
  ])('73: is refused however it is written: %s', async (host) => {
    answer = (_path, response) => void response.end('reached');
    for (const url of [`https://${host}:${port}/`, `http://${host}:${port}/`]) {
      await expect(post(url)).rejects.toMatchObject({ code: 'url_not_allowed' });
      await expect(client().check(url)).rejects.toMatchObject({ code: 'url_not_allowed' });
    }
    expect(seen).toEqual([]);
  });

  it.each(['ftp://example.com/', 'https://user:pass@example.com/', 'file:///etc/passwd', 'no url', 'https://'])(
    '77: is refused for what it is: %s',
    async (url) => {
      await expect(post(url)).rejects.toMatchObject({ code: 'url_not_allowed' });
    },
  );

  it('76: is refused even when a public one stands beside it', async () => {
    const both = client('', resolver(['93.184.216.34', '10.0.0.1']));
    await expect(post('https://both.example/', both)).rejects.toMatchObject({ code: 'url_not_allowed' });
  });

  it('is refused for every address that a name has, also over IPv6 in disguise', async () => {
    for (const address of ['::ffff:10.0.0.1', '64:ff9b::a00:1', '2002:a00:1::', 'fe80::1%eth0']) {
      const one = client('', resolver([address]));
      await expect(post('https://one.example/', one)).rejects.toMatchObject({ code: 'url_not_allowed' });
    }
  });

  it('77: is refused on a port where something else than a web server listens, as long as nobody has listed it', async () => {
    for (const other of [25, 6379, 80, 9443])
      await expect(onPorts().check(`https://open.example:${other}/`)).rejects.toMatchObject({
        code: 'url_not_allowed',
      });
    for (const url of ['https://open.example/', 'https://open.example:8443/']) await onPorts().check(url);
    await onPorts('443, 9443').check('https://open.example:9443/');
    await expect(onPorts('9443').check('https://open.example/')).rejects.toMatchObject({ code: 'url_not_allowed' });
  });

  it('is refused over http although it is public', async () => {
    const open = client('', resolver(['93.184.216.34']));
    await expect(post('http://open.example/', open)).rejects.toMatchObject({ code: 'url_not_allowed' });
  });
});

describe('a call that is allowed', () => {
  it('75: dials the address that was judged, whatever the name says a moment later, and keeps the name', async () => {
    answer = (_path, response) => void response.end('well');
    const rebinding = allowed(resolver(['127.0.0.1'], ['10.0.0.1']));
    expect(await post(`http://name.example:${port}/a`, rebinding)).toMatchObject({ status: 200, body: 'well' });
    expect(seen).toEqual([`name.example:${port} /a`]);
    await expect(post(`http://name.example:${port}/b`, rebinding)).rejects.toMatchObject({ code: 'url_not_allowed' });
    expect(seen).toHaveLength(1);
  });

  it('75: judges the address that answered, too: what was dialled may lead somewhere else', async () => {
    answer = (_path, response) => void response.end('reached');
    // Linux connects 0.0.0.0 to loopback.
    await expect(post(`http://0.0.0.0:${port}/`, client('0.0.0.0/32'))).rejects.toMatchObject({
      code: 'url_not_allowed',
    });
    expect(seen).toEqual([]);
  });

  it('78: follows no redirect', async () => {
    answer = (_path, response) => void response.writeHead(307, { location: `http://127.0.0.1:${port}/next` }).end();
    expect(await post(`http://127.0.0.1:${port}/first`, allowed(resolver([])))).toMatchObject({ status: 307 });
    expect(seen).toEqual([`127.0.0.1:${port} /first`]);
  });

  it('keeps the first 4 KiB of an answer that never ends, and hangs up', async () => {
    const closed = new Promise<void>((resolve) => {
      answer = (_path, response) => {
        response.once('close', resolve);
        const more = (): void => {
          while (!response.destroyed && response.write('x'.repeat(65_536)));
          response.once('drain', more);
        };
        more();
      };
    });
    expect((await post(`http://127.0.0.1:${port}/`, allowed(resolver([])))).body).toHaveLength(4096);
    await closed;
  });

  it('ends in its time although the answer trickles on', async () => {
    answer = (_path, response) => {
      const drip = setInterval(() => void response.write('x'), 50);
      response.once('close', () => clearInterval(drip));
    };
    const begun = performance.now();
    await expect(post(`http://127.0.0.1:${port}/`, allowed(resolver([]), 500))).rejects.toThrow('timeout');
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
});
