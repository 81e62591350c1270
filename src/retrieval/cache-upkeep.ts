import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Database } from '../platform/database.js';
import { inBackground } from '../platform/lane.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { Letters } from './letters.js';
import { PostingCache } from './posting-cache.js';

const everyMs = 15_000;

/**
 * What was deleted leaves the memory of every process that answers questions within a minute, also where nobody asks any
 * more. A timer and no sweep: sweeps run where work is done, and the caches are where it is not.
 */
@Injectable()
export class CacheUpkeep implements OnModuleInit, OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly database: Database,
    private readonly letters: Letters,
    private readonly postings: PostingCache,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.timer = setInterval(() => void this.forget(), everyMs).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  async forget(): Promise<void> {
    this.letters.forgetOld();
    try {
      await inBackground(() => this.database.asSystem((tx) => this.postings.forgetMerged(tx)));
    } catch (error) {
      this.logger.warn({ err: error }, 'caches were not compared with what is stored; they are again soon');
    }
  }
}
