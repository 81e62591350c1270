import { Module } from '@nestjs/common';
import { GateJobs } from './gate.jobs.js';
import { CacheUpkeep } from './cache-upkeep.js';
import { Letters } from './letters.js';
import { LexicalLeg } from './lexical-leg.js';
import { PermittedReader } from './permitted-passages.js';
import { PostingCache } from './posting-cache.js';
import { Retrieval } from './retrieval.js';
import { SearchController } from './search.controller.js';

@Module({
  controllers: [SearchController],
  providers: [PostingCache, PermittedReader, Letters, LexicalLeg, Retrieval, GateJobs, CacheUpkeep],
  exports: [Retrieval],
})
export class RetrievalModule {}
