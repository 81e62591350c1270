import { Processor, WorkerHost } from '@nestjs/bullmq';
import { Inject } from '@nestjs/common';
import { type Job, UnrecoverableError } from 'bullmq';
import { PermanentFailure } from '../../errors.js';
import { inBackground } from '../lane.js';
import { LOGGER, type Logger } from '../logger.js';
import { wellFormed } from '../text.js';
import type { Payload } from './definition.js';
import { Handlers } from './handlers.js';

// What a killed worker was doing is done by another within 45 s (30 until its lock ends, 15 until somebody looks). Two
// kills end a job for good at BullMQ's default of one stall; the sweeps repair it either way. After an outage of the
// queue's engine, BullMQ would wait 15 s before it looks again.
const options = {
  autorun: false,
  lockDuration: 30_000,
  stalledInterval: 15_000,
  maxStalledCount: 3,
  runRetryDelay: 1000,
};

/** Carries out the jobs of one queue: one structured line an attempt, and only well-formed text back to BullMQ. */
abstract class JobProcessor extends WorkerHost {
  constructor(
    private readonly handlers: Handlers,
    private readonly logger: Logger,
  ) {
    super();
  }

  async process(job: Job<Payload>): Promise<void> {
    const started = performance.now();
    const line = { job: job.name, ...job.data, attempt: job.attemptsMade + 1 };
    try {
      await inBackground(() => this.handlers.handle(job.name, job.data));
      this.logger.debug({ ...line, ms: Math.round(performance.now() - started) }, 'job done');
    } catch (error) {
      this.logger.warn({ ...line, err: error, ms: Math.round(performance.now() - started) }, 'job failed');
      const reason = wellFormed(error instanceof Error ? error.message : String(error));
      throw error instanceof PermanentFailure ? new UnrecoverableError(reason) : new Error(reason, { cause: error });
    }
  }
}

@Processor('heavy', options)
export class HeavyProcessor extends JobProcessor {
  constructor(handlers: Handlers, @Inject(LOGGER) logger: Logger) {
    super(handlers, logger);
  }
}

@Processor('light', options)
export class LightProcessor extends JobProcessor {
  constructor(handlers: Handlers, @Inject(LOGGER) logger: Logger) {
    super(handlers, logger);
  }
}
