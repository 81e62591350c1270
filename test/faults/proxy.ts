import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { PassThrough, type Transform } from 'node:stream';

interface Line {
  client: Socket;
  engine: Socket;
  /** What the client has said so far: enough to tell a connection that listens from one that asks. */
  said: string;
}

/**
 * Stands between the service and an engine, and fails as a network does. The engine itself is never touched, so that
 * other tests may use it meanwhile.
 */
export class Proxy {
  private readonly lines = new Set<Line>();
  private readonly server: Server;
  private port = 0;
  private silent = false;
  private unwelcome: RegExp | null = null;

  private constructor(
    private readonly target: URL,
    private readonly filter: () => Transform,
  ) {
    this.server = createServer((client) => this.join(client));
  }

  /** @param filter what each connection's words to the engine go through */
  static async before(target: string, filter = (): Transform => new PassThrough()): Promise<Proxy> {
    const proxy = new Proxy(new URL(target), filter);
    await proxy.listen();
    return proxy;
  }

  /** The engine's address, by way of this proxy. */
  url(original: string): string {
    const url = new URL(original);
    url.hostname = '127.0.0.1';
    url.port = String(this.port);
    return url.href;
  }

  /** Every connection breaks; new ones are taken. */
  cut(): void {
    for (const line of this.lines) cut(line);
  }

  /** As a stopped engine: every connection breaks, and none is taken until `accept`. */
  async refuse(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.cut();
    await closed;
  }

  accept(): Promise<void> {
    return this.listen();
  }

  /** As a network that swallows everything: connections stand, and nothing goes through them, old or new. */
  silence(): void {
    this.silent = true;
    for (const line of this.lines) mute(line);
  }

  /** The connections that have said something of the kind go dead without a word. @returns how many */
  silenceThose(said: RegExp): number {
    const lines = [...this.lines].filter((line) => said.test(line.said));
    for (const line of lines) mute(line);
    return lines.length;
  }

  /** The next connection that says something of the kind breaks before it has an answer; others are let alone. */
  cutNext(said: RegExp): void {
    this.unwelcome = said;
  }

  /** New connections go through again; dead ones are broken, as a machine that comes back breaks them. */
  restore(): void {
    this.silent = false;
    this.cut();
  }

  async stop(): Promise<void> {
    this.cut();
    if (this.server.listening) this.server.close();
  }

  private async listen(): Promise<void> {
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
  }

  private join(client: Socket): void {
    const engine = connect(Number(this.target.port), this.target.hostname);
    const line: Line = { client, engine, said: '' };
    this.lines.add(line);
    for (const [from, to] of [
      [client, engine],
      [engine, client],
    ] as const) {
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.lines.delete(line);
        to.destroy();
      });
    }
    client.pipe(this.filter()).pipe(engine);
    engine.pipe(client);
    client.on('data', (part: Buffer) => {
      line.said = (line.said + part.toString('latin1')).slice(-20_000);
      if (!this.unwelcome?.test(line.said)) return;
      this.unwelcome = null;
      cut(line);
    });
    if (this.silent) mute(line);
  }
}

function cut({ client, engine }: Line): void {
  client.resetAndDestroy();
  engine.destroy();
}

function mute({ client, engine }: Line): void {
  client.unpipe();
  engine.unpipe();
  client.resume();
  engine.resume();
}
