import { Module } from '@nestjs/common';
import { Retrieval } from './retrieval.js';
import { SearchController } from './search.controller.js';

@Module({ controllers: [SearchController], providers: [Retrieval], exports: [Retrieval] })
export class RetrievalModule {}
