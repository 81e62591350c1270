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

/** BullMQ on Redis when there is one, otherwise on the service's own database. */
function connection(config: Config, pool: Pool) {
  if (config.redisUrl) {
    setDefaultBackendFactory();
    return { prefix: config.redisPrefix, connection: { url: config.redisUrl, maxRetriesPerRequest: null } };
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
