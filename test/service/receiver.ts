import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver that answers by a script, the last answer again and again, and remembers what it got. */
export class Receiver {
  readonly received: Received[] = [];
  script: { status: number; headers?: Record<string, string>; body?: string }[] = [{ status: 204 }];
  private server: Server;

  async start(): Promise<this> {
    this.server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        this.received.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
        const answer = (this.script.length > 1 ? this.script.shift() : this.script[0]) ?? { status: 204 };
        response.writeHead(answer.status, answer.headers).end(answer.body);
      });
    });
    await new Promise<void>((resolve) => void this.server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hook`;
  }

  stop(): Promise<unknown> {
    return new Promise((resolve) => void this.server.close(resolve));
  }
}
