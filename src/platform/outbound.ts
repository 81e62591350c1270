import { isIP, type LookupFunction } from 'node:net';
import { Inject, Injectable, Optional } from '@nestjs/common';
import ipaddr from 'ipaddr.js';
import { Agent, buildConnector, request } from 'undici';
import { CONFIG, type Config } from '../config.js';
import { ApiError } from '../errors.js';
import { type Resolve, resolveWithin } from './names.js';

export interface OutboundAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** The first 4 KiB of what came back. */
  body: string;
}

const keptBytes = 4096;
const globalUnicast = ipaddr.parseCIDR('2000::/3');
const connectMs = 5000;
const httpsPort = 443;

/**
 * The only way out to an address that a user chose. A name is resolved, every address it has is judged, and the one that
 * was judged is the one that is dialled; the one that answered is judged again before a byte is sent (undici asks no
 * lookup hook for a literal address); redirects are not followed; time and size are capped.
 */
@Injectable()
export class OutboundClient {
  private readonly allowed: [ipaddr.IPv4 | ipaddr.IPv6, number][];
  private readonly ports: number[];

  constructor(
    @Inject(CONFIG) config: Config,
    @Optional() private readonly resolveName: Resolve = resolveWithin(),
    @Optional() private readonly totalMs: number = 15_000,
  ) {
    this.allowed = config.outbound.allow.map((range) => ipaddr.parseCIDR(range));
    this.ports = config.outbound.ports;
  }

  /** @throws ApiError url_not_allowed; the answer is the same for a refused, a closed and an unknown address */
  async check(url: string): Promise<void> {
    await this.resolve(url);
  }

  /** @throws ApiError url_not_allowed, or the network's error */
  async post(url: string, headers: Record<string, string>, body: string): Promise<OutboundAnswer> {
    const signal = AbortSignal.timeout(this.totalMs);
    const address = await this.resolve(url);
    const agent = new Agent({ connect: this.dial(address, url), maxResponseSize: -1, allowH2: false });
    try {
      const answer = await request(url, {
        method: 'POST',
        headers,
        body,
        dispatcher: agent,
        signal,
        headersTimeout: this.totalMs,
        bodyTimeout: this.totalMs,
      });
      return { status: answer.statusCode, headers: answer.headers, body: await head(answer.body) };
    } finally {
      await agent.destroy();
    }
  }

  /** Connects to the address that was judged, and gives the connection out only if it leads to one that is permitted. */
  private dial(address: string, url: string): buildConnector.connector {
    const connect = buildConnector({ lookup: always(address), timeout: connectMs, allowH2: false });
    return (options, done) =>
      connect(options, (...[error, socket]) => {
        if (error) return done(error, null);
        if (this.permits(socket.remoteAddress ?? '', new URL(url))) return done(null, socket);
        socket.destroy();
        done(refused(), null);
      });
  }

  /** @returns the address to dial */
  private async resolve(text: string): Promise<string> {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (!url || url.username !== '' || url.password !== '' || !['https:', 'http:'].includes(url.protocol)) {
      throw new ApiError('url_not_allowed', 'An https address without user name is required.');
    }
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const addresses = isIP(host) ? [host] : await this.resolveName(host);
    const [first] = addresses;
    if (first === undefined || !addresses.every((address) => this.permits(address, url))) {
      throw refused();
    }
    return first;
  }

  /** Public addresses over https on the usual ports; over http, on other ports and elsewhere, only what is listed. */
  private permits(text: string, { protocol, port }: URL): boolean {
    if (!ipaddr.isValid(text)) return false;
    const address = ipaddr.process(text);
    if (this.allowed.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits)))
      return true;
    // The library takes what no range speaks of for public, such as ::127.0.0.1; what is given out is in 2000::/3.
    const assigned = address.kind() === 'ipv4' || address.match(globalUnicast);
    const usual = protocol === 'https:' && this.ports.includes(Number(port || httpsPort));
    return usual && assigned && address.range() === 'unicast';
  }
}

const refused = (): ApiError =>
  new ApiError(
    'url_not_allowed',
    'Only public https addresses on the ports of OUTBOUND_PORTS are called, and the ranges in OUTBOUND_ALLOW_CIDRS.',
  );

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
