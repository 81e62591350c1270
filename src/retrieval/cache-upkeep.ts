import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Database } from '../platform/database.js';
import { inBackground } from '../platform/lane.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { Letters } from './letters.js';
import { PostingCache } from './posting-cache.js';

const everyMs = 15_000;
const longestEndMs = 3000;

/**
 * What was deleted leaves the memory of every process that answers questions within a minute, also where nobody asks any
 * more. A timer and no sweep: sweeps run where work is done, and the caches are where it is not. It does nothing before
 * `start`.
 */
@Injectable()
export class CacheUpkeep implements OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;
  private forgetting: Promise<void> = Promise.resolve();

  constructor(
    private readonly database: Database,
    private readonly letters: Letters,
    private readonly postings: PostingCache,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  start(): void {
    this.timer = setInterval(() => (this.forgetting = this.forget()), everyMs).unref();
  }

  /** While there is still a database to compare with: but not for one that does not answer any more. */
  async onModuleDestroy(): Promise<void> {
    clearInterval(this.timer);
    const ended = new AbortController();
    await Promise.race([this.forgetting, pause(longestEndMs, undefined, { signal: ended.signal })]);
    ended.abort();
  }

  /** Never fails: what could not be compared is compared the next time. */
  async forget(): Promise<void> {
    this.letters.forgetOld();
    try {
      await inBackground(() => this.database.asSystem((tx) => this.postings.forgetMerged(tx)));
    } catch (error) {
      this.logger.warn({ err: error }, 'caches were not compared with what is stored; they are again soon');
    }
  }
}
