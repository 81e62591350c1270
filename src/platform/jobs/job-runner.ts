import { randomUUID } from 'node:crypto';
import { BullRegistrar } from '@nestjs/bullmq';
import { Inject, Injectable, type OnApplicationBootstrap, type BeforeApplicationShutdown } from '@nestjs/common';
import { CONFIG, type Config } from '../../config.js';
import { inBackground, soon } from '../lane.js';
import { LOGGER, type Logger } from '../logger.js';
import { POOL, type Pool } from '../pool.js';
import { type Chore, Handlers } from './handlers.js';
import { JobQueue } from './job-queue.js';
import { keepListening } from './listening.js';
import { HeavyProcessor, LightProcessor } from './processors.js';

/**
 * The working half of the process. Nothing starts by itself: `start` sets the workers and sweeps going, `drain` steps
 * them by hand until there is nothing left to do, which is how tests run.
 */
@Injectable()
export class JobRunner implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timers: NodeJS.Timeout[] = [];
  private readonly ended = new AbortController();
  private running: Promise<unknown>[] = [];
  private readonly busy = new Map<Chore, 'once' | 'again'>();

  constructor(
    private readonly handlers: Handlers,
    private readonly queue: JobQueue,
    private readonly registrar: BullRegistrar,
    private readonly heavy: HeavyProcessor,
    private readonly light: LightProcessor,
    @Inject(POOL) private readonly pool: Pool,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.role !== 'api') this.registrar.register();
  }

  async start(): Promise<void> {
    this.heavy.worker.concurrency = this.config.workers.heavy;
    this.light.worker.concurrency = this.config.workers.light;
    if (this.config.database.url === null) await this.takeOver();
    for (const { worker } of [this.heavy, this.light]) {
      worker.on('error', (error) => this.logger.warn({ err: error }, 'the queue reported an error'));
      this.running.push(worker.run());
    }
    for (const chore of this.handlers.sweeps) {
      this.timers.push(setInterval(() => void this.run(chore), chore.everyMs).unref());
      void this.run(chore);
    }
    void this.listen();
  }

  /**
   * The embedded database has one owner, so whoever held something is dead. What a kill left behind would otherwise wait
   * for its leases to end (90 s), and the jobs that were running would stand in the way of new ones with the same key
   * until they count as stalled. The queue is emptied, not searched: the sweeps that follow put back what is due.
   */
  private async takeOver(): Promise<void> {
    await this.queue.clear();
    for (const free of this.handlers.frees) await inBackground(free);
  }

  /**
   * Runs every sweep and every job, delayed ones at once, until nothing is left: its caller waits for that.
   * @throws Error after `rounds` rounds: something keeps making work for itself
   */
  async drain(rounds = 200): Promise<void> {
    const woken = this.handlers.sweeps.filter(({ channel }) => channel !== null);
    const timed = this.handlers.sweeps.filter(({ channel }) => channel === null);
    // What only a clock calls comes when the rest is done, once: a round of all of them is twenty transactions.
    for (let round = 0; round < rounds; round++)
      if (!(await soon(() => this.pass(woken))) && !(await soon(() => this.pass(timed)))) return;
    throw new Error(`the queue was not empty after ${rounds} rounds`);
  }

  /** @returns whether there was anything to do */
  private async pass(chores: readonly Chore[]): Promise<boolean> {
    let worked = false;
    for (const { run } of chores) if ((await inBackground(run)) === true) worked = true;
    await this.queue.promoteDelayed();
    for (const processor of [this.light, this.heavy]) while (await this.step(processor)) worked = true;
    return worked;
  }

  /** Before the queues and the database close beneath it: a job that is running may still need both to end. */
  async beforeApplicationShutdown(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    this.ended.abort();
    if (this.config.role === 'api') return;
    await Promise.all([this.heavy, this.light].map(({ worker }) => worker.close()));
    await Promise.all(this.running);
  }

  /** Takes one job, if there is one, and carries it out. */
  private async step(processor: HeavyProcessor | LightProcessor): Promise<boolean> {
    const token = randomUUID();
    const job = await processor.worker.getNextJob(token, { block: false });
    if (!job) return false;
    await processor.worker.processJob(job, token, () => false);
    return true;
  }

  /** Never twice at the same time; a wish that comes meanwhile is granted right after. */
  private async run(chore: Chore): Promise<void> {
    if (this.busy.has(chore)) return void this.busy.set(chore, 'again');
    try {
      do {
        this.busy.set(chore, 'once');
        await inBackground(chore.run);
      } while (this.busy.get(chore) === 'again');
    } catch (error) {
      this.logger.warn({ err: error, sweep: chore.name }, 'a sweep failed; it runs again');
    } finally {
      this.busy.delete(chore);
    }
  }

  /** Wakes chores by NOTIFY. While no connection listens, the timers do the work. */
  private listen(): Promise<void> {
    const chores = this.handlers.sweeps.filter(({ channel }) => channel !== null);
    const channels = [...new Set(chores.flatMap(({ channel }) => channel ?? []))];
    const heard = (channel: string) => {
      for (const chore of chores) if (chore.channel === channel) void this.run(chore);
    };
    return keepListening(this.pool, { channels, heard, signal: this.ended.signal }, this.logger);
  }
}
