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
import { Overload } from './http/overload.js';
import { ProblemFilter } from './http/problem.filter.js';
import { JobsModule } from './jobs/jobs.module.js';
import { LOGGER, type Logger } from './logger.js';
import { migrate } from './migrate.js';
import { ChatModels } from './models/chat-models.js';
import { Embedder } from './models/embedder.js';
import { Reranker } from './models/reranker.js';
import { OutboundClient } from './outbound.js';
import { isBackground } from './lane.js';
import { INTERACTIVE_POOL, openInteractivePool, openPool, POOL, type Pool } from './pool.js';
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
          inject: [INTERACTIVE_POOL, POOL],
          useFactory: (interactive: Pool, background: Pool) => ({
            type: 'postgres' as const,
            // TypeORM makes a pool of its own from what `driver` gives it; it gets ours, by what each transaction is for.
            driver: { Pool: byLane(interactive, background) },
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
        // Made after the tables are up to date, which is the other pool's first work.
        { provide: INTERACTIVE_POOL, inject: [POOL], useFactory: () => openInteractivePool(config) },
        { provide: SecretBox, useFactory: () => loadSecretBox(config.dataDir, config.secretKey) },
        { provide: BlobStore, useFactory: () => openBlobs(config) },
        BlobClaims,
        Database,
        Embedder,
        ChatModels,
        Reranker,
        OutboundClient,
        Idempotency,
        Overload,
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
      ],
      exports: [
        CONFIG,
        LOGGER,
        POOL,
        INTERACTIVE_POOL,
        SecretBox,
        BlobStore,
        BlobClaims,
        Database,
        Embedder,
        ChatModels,
        Reranker,
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

/**
 * A class whose instances stand for both pools: what runs in the background connects through its own. TypeORM must not
 * end them: whoever stops the process does, last of all.
 */
function byLane(interactive: Pool, background: Pool) {
  return class {
    constructor() {
      return new Proxy(interactive, {
        get: (target, name) => {
          if (name === 'end') return (done?: () => void) => done?.();
          const pool = name === 'connect' && isBackground() ? background : target;
          const value: unknown = Reflect.get(pool, name, pool);
          return typeof value === 'function' ? value.bind(pool) : value;
        },
      });
    }
  };
}
