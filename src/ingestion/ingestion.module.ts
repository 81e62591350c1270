import { Module } from '@nestjs/common';
import { Articles } from './articles.js';
import { Ingestion } from './ingest.js';
import { IngestionJobs } from './ingestion.jobs.js';
import { Orphans } from './orphans.js';
import { PostingJobs } from './posting.jobs.js';
import { Publishing } from './publish.js';
import { Purging } from './purge.js';
import { UploadController } from './upload.controller.js';
import { UploadLimits } from './upload-limits.js';

@Module({
  controllers: [UploadController],
  providers: [Ingestion, Publishing, Purging, Orphans, Articles, UploadLimits, IngestionJobs, PostingJobs],
})
export class IngestionModule {}
