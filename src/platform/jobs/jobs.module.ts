import { BullModule } from '@nestjs/bullmq';
import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { createPostgresBackend, setDefaultBackendFactory } from 'bullmq';
import { CONFIG, type Config } from '../../config.js';
import { POOL, type Pool } from '../pool.js';
import { queueNames } from './definition.js';
import { Handlers } from './handlers.js';
import { JobQueue } from './job-queue.js';
import { JobRunner } from './job-runner.js';
import { HeavyProcessor, LightProcessor } from './processors.js';

/**
 * How Redis is spoken to: a command without an answer means a dead connection (workers block for 10 s at most, so 15 s
 * of silence are too long), and a server that has become a replica is left for the one that took its place.
 */
const redis = {
  maxRetriesPerRequest: null,
  keepAlive: 10_000,
  socketTimeout: 15_000,
  retryStrategy: (attempt: number) => Math.min(100 * 2 ** attempt, 2000),
  reconnectOnError: ({ message }: Error) => (message.startsWith('READONLY') ? 2 : false),
} as const;

/** BullMQ on Redis when there is one, otherwise on the service's own database. */
function connection(config: Config, pool: Pool) {
  if (config.redisUrl) {
    setDefaultBackendFactory();
    return { prefix: config.redisPrefix, connection: { url: config.redisUrl, ...redis } };
  }
  setDefaultBackendFactory(createPostgresBackend);
  return { connection: pool as never };
}

@Global()
@Module({
  imports: [
    DiscoveryModule,
    BullModule.forRootAsync({
      inject: [CONFIG, POOL],
      useFactory: connection,
      extraOptions: { manualRegistration: true },
    }),
    BullModule.registerQueue(...queueNames.map((name) => ({ name }))),
  ],
  providers: [Handlers, JobQueue, JobRunner, HeavyProcessor, LightProcessor],
  exports: [JobQueue, JobRunner],
})
export class JobsModule {}
