import { type DynamicModule, Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR, DiscoveryModule } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { join } from 'node:path';
import { CONFIG, type Config } from '../config.js';
import { BlobClaims } from './blob-claims.js';
import { BlobStore } from './blobs.js';
import { Database } from './database.js';
import { DiskBlobs } from './disk-blobs.js';
import { HealthController } from './http/health.controller.js';
import { Idempotency, IdempotencyInterceptor } from './http/idempotency.js';
import { ProblemFilter } from './http/problem.filter.js';
import { JobsModule } from './jobs/jobs.module.js';
import { LOGGER, type Logger } from './logger.js';
import { migrate } from './migrate.js';
import { ChatModels } from './models/chat-models.js';
import { Embedder } from './models/embedder.js';
import { OutboundClient } from './outbound.js';
import { openPool, POOL, type Pool } from './pool.js';
import { loadSecretBox, SecretBox } from './secrets.js';
import { Staging } from './staging.js';

/** What any service needs: settings, database, queue, blobs, models, the guarded way out, health. */
@Global()
@Module({})
export class PlatformModule {
  static with(config: Config, logger: Logger): DynamicModule {
    return {
      module: PlatformModule,
      imports: [
        DiscoveryModule,
        TypeOrmModule.forRootAsync({
          inject: [POOL],
          useFactory: (pool: Pool) => ({
            type: 'postgres' as const,
            // TypeORM makes a pool of its own from what `driver` gives it; ours is one for all, so it gets that one.
            driver: { Pool: sharedPool(pool) },
            autoLoadEntities: true,
            installExtensions: false,
            retryAttempts: 0,
          }),
        }),
        JobsModule,
      ],
      controllers: [HealthController],
      providers: [
        { provide: CONFIG, useValue: config },
        { provide: LOGGER, useValue: logger },
        { provide: POOL, useFactory: () => readyPool(config, logger) },
        { provide: SecretBox, useFactory: () => loadSecretBox(config.dataDir, config.secretKey) },
        { provide: BlobStore, useFactory: () => openBlobs(config) },
        BlobClaims,
        Database,
        Embedder,
        ChatModels,
        OutboundClient,
        Idempotency,
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
      ],
      exports: [
        CONFIG,
        LOGGER,
        POOL,
        SecretBox,
        BlobStore,
        BlobClaims,
        Database,
        Embedder,
        ChatModels,
        OutboundClient,
        Idempotency,
      ],
    };
  }
}

/** Files on this machine's disk, or in S3, where uploads only pass through the disk. */
async function openBlobs({ dataDir, s3 }: Config): Promise<BlobStore> {
  const folder = join(dataDir, 'blobs');
  if (!s3) return new DiskBlobs(folder);
  // Loading the client takes 25 MB and most of a second: only for those who need it.
  const { S3Blobs } = await import('./s3-blobs.js');
  return new S3Blobs(s3, new Staging(join(folder, 'incoming')));
}

/** Opens the engine and brings its tables up to this build before anything asks it. */
async function readyPool(config: Config, logger: Logger): Promise<Pool> {
  const pool = openPool(config);
  const applied = await migrate(pool, { withQueueTables: config.redisUrl === null });
  if (applied.length > 0) logger.info({ applied }, 'database migrated');
  return pool;
}

/** A class whose instances are all the one pool, which TypeORM must not end: whoever stops the process does, last of all. */
function sharedPool(pool: Pool) {
  return class {
    constructor() {
      return new Proxy(pool, {
        get: (target, name) => {
          if (name === 'end') return (done?: () => void) => done?.();
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    }
  };
}
