import { Module } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { Articles } from './articles.js';
import { BaseClearing } from './clear-base.js';
import { Fsck } from './fsck.js';
import { Ingestion } from './ingest.js';
import { IngestionJobs } from './ingestion.jobs.js';
import { KeepingJobs } from './keeping.jobs.js';
import { Orphans } from './orphans.js';
import { PostingJobs } from './posting.jobs.js';
import { ParserPool } from './parsers/parser-pool.js';
import { Publishing } from './publish.js';
import { Purging } from './purge.js';
import { IndexBuilding } from './build-index.js';
import { ReindexJobs } from './reindex.jobs.js';
import { Repair } from './repair.js';
import { Retention } from './retention.js';
import { SlowLane } from './slow-lane.js';
import { UploadController } from './upload.controller.js';
import { UploadLimits } from './upload-limits.js';

@Module({
  controllers: [UploadController],
  providers: [
    { provide: ParserPool, inject: [CONFIG], useFactory: ({ parser }: Config) => new ParserPool(parser) },
    Ingestion,
    SlowLane,
    Publishing,
    Purging,
    BaseClearing,
    Retention,
    Repair,
    Fsck,
    KeepingJobs,
    Orphans,
    Articles,
    UploadLimits,
    IngestionJobs,
    PostingJobs,
    IndexBuilding,
    ReindexJobs,
  ],
  exports: [Fsck],
})
export class IngestionModule {}
