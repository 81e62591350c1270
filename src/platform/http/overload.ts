import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { CONFIG, type Config } from '../../config.js';
import { ApiError } from '../../errors.js';
import { LOGGER, type Logger } from '../logger.js';
import { INTERACTIVE_POOL, type Pool } from '../pool.js';
import { problem, retryAfter } from './problem.filter.js';

const tickMs = 50;
const windowMs = 1000;

/**
 * Tells when the process has more to do than it can: its event loop is late, or its connections are all taken and too
 * many requests wait for one. Such a request is refused at once, while refusing is still cheap; nothing has to be reset,
 * the next second is measured anew.
 */
@Injectable()
export class Overload implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | null = null;
  private due = 0;
  private windowFrom = 0;
  private waited = 0;
  /** Of the last two windows: one long computation is a hiccup, two late seconds in a row are not. */
  private delays: [number, number] = [0, 0];

  constructor(
    @Inject(INTERACTIVE_POOL) private readonly pool: Pool,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.windowFrom = performance.now();
    this.due = this.windowFrom + tickMs;
    this.timer = setInterval(() => this.tick(performance.now()), tickMs).unref();
  }

  onApplicationShutdown(): void {
    if (this.timer) clearInterval(this.timer);
  }

  /** @returns what is overloaded, in words for the log; null when nothing is */
  reason(): string | null {
    const { eventLoopDelayMs, connectionQueue } = this.config.overload;
    if (Math.min(...this.delays) > eventLoopDelayMs) return 'event loop';
    if (this.pool.waitingCount >= connectionQueue) return 'connections';
    return null;
  }

  /** How long a request that came at a random moment waited for its turn: a stall of d ms kept those in it d/2 on average. */
  private tick(now: number): void {
    const late = Math.max(0, now - this.due);
    this.waited += (late * late) / 2;
    this.due = now + tickMs;
    const length = now - this.windowFrom;
    if (length < windowMs) return;
    this.delays = [this.delays[1], this.waited / length];
    this.windowFrom = now;
    this.waited = 0;
    const reason = this.reason();
    if (reason) this.logger.warn({ reason, delayMs: Math.round(this.delays[1]) }, 'overloaded: requests are refused');
  }
}

/** Answers 503 in place of every route but those that tell whether the process lives. */
export function refuseWhenOverloaded(fastify: FastifyInstance, overload: Overload): void {
  fastify.addHook('onRequest', async (request, reply) => {
    if (request.url.startsWith('/health/') || overload.reason() === null) return;
    const error = new ApiError('overloaded');
    await reply
      .status(error.status)
      .type('application/problem+json')
      .header('retry-after', retryAfter(error))
      .send(problem(error, request.id));
  });
}
