import 'reflect-metadata';
import { type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { AccessModule } from './access/access.module.js';
import { checkTenantWall } from './access/wall.js';
import { CONFIG, type Config } from './config.js';
import { EventsModule } from './events/events.module.js';
import { IngestionModule } from './ingestion/ingestion.module.js';
import { KnowledgeModule } from './knowledge/knowledge.module.js';
import { Database } from './platform/database.js';
import { serveOpenApi } from './platform/http/openapi.js';
import { Overload, refuseWhenOverloaded } from './platform/http/overload.js';
import { makeAdapter } from './platform/http/server.js';
import { validation } from './platform/http/validation.js';
import { JobRunner } from './platform/jobs/job-runner.js';
import { makeLogger, NestLogger } from './platform/logger.js';
import { PlatformModule } from './platform/platform.module.js';
import { INTERACTIVE_POOL, POOL, type Pool } from './platform/pool.js';
import { ChatModule } from './chat/chat.module.js';
import { CacheUpkeep } from './retrieval/cache-upkeep.js';
import { RetrievalModule } from './retrieval/retrieval.module.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

@Module({})
export class AppModule {
  static with(config: Config, logger = makeLogger(config)): DynamicModule {
    return {
      module: AppModule,
      imports: [
        PlatformModule.with(config, logger),
        AccessModule,
        EventsModule,
        KnowledgeModule,
        WebhooksModule,

        IngestionModule,
        RetrievalModule,
        ChatModule,
      ],
    };
  }
}

/**
 * The whole service, made but not started: it neither listens nor works until told to.
 * @throws Error when a part cannot be opened, or when the wall between tenants has a hole
 */
export async function createApp(config: Config): Promise<NestFastifyApplication> {
  const logger = makeLogger(config);
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(config, logger),
    await makeAdapter(config, logger),
    {
      logger: new NestLogger(logger),
      // Bodies are read by our own parser: some routes need the bytes as they came.
      bodyParser: false,
      abortOnError: false,
    },
  );
  refuseWhenOverloaded(app.getHttpAdapter().getInstance() as unknown as FastifyInstance, app.get(Overload));
  app.useGlobalPipes(validation());
  serveOpenApi(app);
  await checkTenantWall(app.get(Database));
  await app.init();
  return app;
}

/** Sets going what a process does by itself: all that, or where `ROLE` is `api`, the upkeep of what it keeps in memory. */
export async function beginWork(app: NestFastifyApplication): Promise<void> {
  app.get(CacheUpkeep).start();
  if (app.get<Config>(CONFIG).role !== 'api') await app.get(JobRunner).start();
}

/** Ends what {@link createApp} made: requests and jobs first, the database last. */
export async function stopApp(app: NestFastifyApplication): Promise<void> {
  const pools = [app.get<Pool>(INTERACTIVE_POOL), app.get<Pool>(POOL)];
  const server = app.getHttpServer();
  // Once nothing new is let in, a connection kept alive would hold up the end for as long as its client pleases.
  const idle = setInterval(() => void (server.listening || server.closeIdleConnections()), 100);
  try {
    await app.close();
  } finally {
    clearInterval(idle);
  }
  for (const pool of pools) await pool.end();
}
