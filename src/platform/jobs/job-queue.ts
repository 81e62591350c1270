import { createHash } from 'node:crypto';
import { InjectQueue } from '@nestjs/bullmq';
import { Inject, Injectable } from '@nestjs/common';
import type { Queue } from 'bullmq';
import { TaskCancelledError, timeout, TimeoutStrategy } from 'cockatiel';
import { ApiError } from '../../errors.js';
import { LOGGER, type Logger } from '../logger.js';
import { wellFormed } from '../text.js';
import { backoff, type JobDefinition, type Payload, type QueueName } from './definition.js';

// BullMQ itself waits for its engine without end. What is given up here and happens later does no harm: it reminds twice.
const answer = timeout(2000, TimeoutStrategy.Aggressive);

/** Puts reminders into the queue. Call it after the commit that made them true, never inside the transaction. */
@Injectable()
export class JobQueue {
  private readonly queues: Record<QueueName, Queue>;

  constructor(@InjectQueue('heavy') heavy: Queue, @InjectQueue('light') light: Queue, @Inject(LOGGER) logger: Logger) {
    this.queues = { heavy, light };
    for (const queue of [heavy, light]) {
      // Unheard, BullMQ prints the error whole, and with it the connection and its password.
      queue.on('error', (error) => logger.warn({ err: error, queue: queue.name }, 'the queue reported an error'));
    }
  }

  /**
   * @param options `behind`: how many others of its kind stand before it (1 to 2 million): it goes after all jobs without,
   * and after those with less
   * @throws ApiError unavailable when the queue's engine does not answer: the sweep will remind, a caller need not wait
   */
  async add<P extends Payload>(
    definition: JobDefinition<P>,
    payload: P,
    options: { delayMs?: number; behind?: number } = {},
  ): Promise<void> {
    const clean = Object.fromEntries(
      Object.entries(payload).map(([name, value]) => [name, typeof value === 'string' ? wellFormed(value) : value]),
    );
    const policy = {
      attempts: definition.attempts,
      backoff,
      // BullMQ's priority: lower goes first, and 0, which is what jobs have otherwise, before all others.
      priority: options.behind ?? 0,
      // A fraction is refused by the PostgreSQL backend.
      delay: Math.round(options.delayMs ?? 0),
      // A finished job must leave, or a later one with the same key would be taken for it and ignored.
      removeOnComplete: true,
      removeOnFail: definition.key ? true : { age: 604_800, count: 1000 },
      ...(definition.key ? { jobId: jobId(definition.name, definition.key(payload)) } : {}),
    };
    await answered(() => this.queues[definition.queue].add(definition.name, clean, policy));
  }

  /** @throws when the queue's engine does not answer */
  async check(): Promise<void> {
    await answered(() => this.queues.light.getWaitingCount());
  }

  /** Throws away every job, running ones too: only for a process that is alone, before it begins. */
  async clear(): Promise<void> {
    for (const queue of Object.values(this.queues)) await queue.obliterate({ force: true });
  }

  /** Makes every delayed job due now: only for stepping the queue by hand. */
  async promoteDelayed(): Promise<void> {
    for (const queue of Object.values(this.queues)) await queue.promoteJobs();
  }
}

async function answered(ask: () => Promise<unknown>): Promise<void> {
  try {
    await answer.execute(ask);
  } catch (error) {
    if (!(error instanceof TaskCancelledError)) throw error;
    throw new ApiError('unavailable', 'The queue does not answer right now: try again shortly.', [], { cause: error });
  }
}

// BullMQ refuses ids that are integers or hold a colon, so the key is hashed.
function jobId(name: string, key: string): string {
  return `j_${createHash('sha256').update(`${name} ${key}`).digest('hex').slice(0, 40)}`;
}
