import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { Inject, Injectable } from '@nestjs/common';
import ipaddr from 'ipaddr.js';
import { Agent, request } from 'undici';
import { CONFIG, type Config } from '../config.js';
import { ApiError } from '../errors.js';

export interface OutboundAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** The first 4 KiB of what came back. */
  body: string;
}

const keptBytes = 4096;
const connectMs = 5000;
const totalMs = 15_000;

/**
 * The only way out to an address that a user chose. A name is resolved, every address it has is judged, and the one that
 * was judged is the one that is dialled; redirects are not followed; time and size are capped.
 */
@Injectable()
export class OutboundClient {
  private readonly allowed: [ipaddr.IPv4 | ipaddr.IPv6, number][];

  constructor(@Inject(CONFIG) config: Config) {
    this.allowed = config.outboundAllow.map((range) => ipaddr.parseCIDR(range));
  }

  /** @throws ApiError url_not_allowed; the answer is the same for a refused, a closed and an unknown address */
  async check(url: string): Promise<void> {
    await this.resolve(url);
  }

  /** @throws ApiError url_not_allowed, or the network's error */
  async post(url: string, headers: Record<string, string>, body: string): Promise<OutboundAnswer> {
    const address = await this.resolve(url);
    const agent = new Agent({
      connect: { lookup: always(address), timeout: connectMs },
      maxResponseSize: -1,
      allowH2: false,
    });
    const signal = AbortSignal.timeout(totalMs);
    try {
      const answer = await request(url, {
        method: 'POST',
        headers,
        body,
        dispatcher: agent,
        signal,
        headersTimeout: totalMs,
        bodyTimeout: totalMs,
      });
      return { status: answer.statusCode, headers: answer.headers, body: await head(answer.body) };
    } finally {
      await agent.destroy();
    }
  }

  /** @returns the address to dial */
  private async resolve(text: string): Promise<string> {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (!url || url.username !== '' || url.password !== '' || !['https:', 'http:'].includes(url.protocol)) {
      throw new ApiError('url_not_allowed', 'An https address without user name is required.');
    }
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const addresses = isIP(host)
      ? [host]
      : await lookup(host, { all: true }).then(
          (all) => all.map(({ address }) => address),
          () => [],
        );
    const [first] = addresses;
    const secure = url.protocol === 'https:';
    if (first === undefined || !addresses.every((address) => this.permits(address, secure))) {
      throw new ApiError(
        'url_not_allowed',
        'Only public https addresses are called, and the ranges in OUTBOUND_ALLOW_CIDRS.',
      );
    }
    return first;
  }

  /** Public addresses over https; over http, and elsewhere, only what is listed. */
  private permits(text: string, secure: boolean): boolean {
    const address = ipaddr.process(text);
    if (this.allowed.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits)))
      return true;
    return secure && address.range() === 'unicast';
  }
}

/** Makes the connector dial the address that was judged, whatever the name says by now. */
function always(address: string): LookupFunction {
  const family = isIP(address);
  return (_host, options, done) => (options.all ? done(null, [{ address, family }]) : done(null, address, family));
}

async function head(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    parts.push(part);
    size += part.length;
    if (size >= keptBytes) break;
  }
  return Buffer.concat(parts).subarray(0, keptBytes).toString('utf8');
}
