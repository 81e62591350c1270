import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Ending, FromLauncher, LaunchOrder, ToLauncher } from './launch-protocol.js';

const entry = fileURLToPath(new URL('./launcher-child.js', import.meta.url));

/** How a process ended that was well itself. */
export const launcherEnded = 'the launcher ended';

/** A parser process, as far as the launcher lets it be seen. */
export class Launched {
  /** 0 until it runs. */
  pid = 0;
  over = false;
  readonly ended: Promise<Ending>;
  private end: (ending: Ending) => void = () => undefined;
  private readonly verdicts: string[] = [];
  private waiting: ((verdict: string | null) => void) | null = null;

  constructor(private readonly send: (deed: { line: string } | { kill: true }) => void) {
    this.ended = new Promise((done) => (this.end = done));
  }

  write(line: string): void {
    if (!this.over) this.send({ line });
  }

  /** By the launcher, which knows it by more than a number of the system's that may be another's by now. */
  kill(): void {
    if (!this.over) this.send({ kill: true });
  }

  /** @returns what it says next, or null when it ended without a word */
  nextVerdict(): Promise<string | null> {
    const said = this.verdicts.shift();
    if (said !== undefined || this.over) return Promise.resolve(said ?? null);
    return new Promise((done) => (this.waiting = done));
  }

  hear(what: FromLauncher): void {
    if ('pid' in what) this.pid = what.pid;
    else if ('verdict' in what) this.say(what.verdict);
    else {
      this.over = true;
      this.end(what.ending);
      this.say(null);
    }
  }

  private say(verdict: string | null): void {
    const { waiting } = this;
    this.waiting = null;
    if (waiting) waiting(verdict);
    else if (verdict !== null) this.verdicts.push(verdict);
  }
}

// The launcher is small and soon started, but need not stay for ever.
const IDLE_MS = 30_000;

/**
 * Starts parser processes from a small process in between. Starting one from here would first copy the map of all this
 * process's memory: 25 ms of 400 MB in which nobody is answered, against 2.
 */
export class Launcher {
  private process: ChildProcess | null = null;
  private readonly launched = new Map<number, Launched>();
  private last = 0;
  private rest: NodeJS.Timeout | null = null;

  start(order: LaunchOrder): Launched {
    const process = (this.process ??= this.fork());
    if (this.rest) clearTimeout(this.rest);
    this.rest = null;
    const id = ++this.last;
    const send = (message: ToLauncher) => void process.send(message, () => undefined); // gone: its exit tells
    const launched = new Launched((deed) => send({ id, ...deed }));
    this.launched.set(id, launched);
    this.holdOpen();
    send({ id, start: order });
    return launched;
  }

  /** Ends it, and with it whatever it has started. */
  async close(): Promise<void> {
    const { process } = this;
    if (!process) return;
    this.process = null;
    const gone = once(process, 'exit');
    process.ref(); // whoever closes it waits for its end
    if (process.connected) process.disconnect();
    await gone;
  }

  private fork(): ChildProcess {
    const process = fork(entry, [], {
      env: {},
      execArgv: ['--max-old-space-size=32', '--max-semi-space-size=1'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    process.on('message', (what: FromLauncher) => this.hear(what));
    const over = () => {
      if (this.process !== null && this.process !== process) return; // it was at rest, and another has taken its place
      this.process = null;
      for (const id of this.launched.keys()) this.hear({ id, ending: { how: launcherEnded, complaint: '' } });
    };
    process.once('exit', over);
    process.on('error', () => {
      if (process.pid === undefined) over(); // it did not start; that a line did not reach it, its exit tells
    });
    return process;
  }

  private hear(what: FromLauncher): void {
    const launched = this.launched.get(what.id);
    if ('ending' in what) {
      this.launched.delete(what.id);
      this.holdOpen();
    }
    launched?.hear(what);
  }

  /** While anything runs this process waits for it; a launcher that has nothing to do holds nobody up. */
  private holdOpen(): void {
    const { process } = this;
    if (this.launched.size > 0) {
      process?.ref();
      process?.channel?.ref();
      return;
    }
    process?.unref();
    process?.channel?.unref();
    this.rest ??= setTimeout(() => void this.close(), IDLE_MS).unref();
  }
}
