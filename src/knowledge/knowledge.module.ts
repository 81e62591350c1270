import { Global, Module } from '@nestjs/common';
import { Chunks } from './chunks.js';
import { Content } from './content.js';
import { DocumentChanges } from './document-changes.js';
import { Deletions } from './deletions.js';
import { Documents } from './documents.js';
import { DocumentsController } from './documents.controller.js';
import { GoldenQuestions } from './golden-questions.js';
import { GoldenQuestionsController } from './golden-questions.controller.js';
import { Indexes } from './indexes.js';
import { KeepingController } from './keeping.controller.js';
import { KnowledgeBases } from './knowledge-bases.js';
import { KnowledgeBasesController } from './knowledge-bases.controller.js';
import { UnreadDocuments } from './document-terms.js';
import { NearIndexes } from './near-indexes.js';
import { Postings } from './postings.js';
import { Reindexes } from './reindexes.js';
import { ReindexesController } from './reindexes.controller.js';
import { Revisions } from './revisions.js';
import { SegmentMerging } from './segment-merging.js';
import { Storage } from './storage.js';
import { Syncs } from './syncs.js';
import { SyncsController } from './syncs.controller.js';
import { Turns } from './turns.js';
import { Versions } from './versions.js';

@Global()
@Module({
  controllers: [
    KnowledgeBasesController,
    DocumentsController,
    SyncsController,
    GoldenQuestionsController,
    ReindexesController,
    KeepingController,
  ],
  providers: [
    KnowledgeBases,
    Documents,
    DocumentChanges,
    Content,
    Revisions,
    Turns,
    Indexes,
    Chunks,
    Postings,
    UnreadDocuments,
    SegmentMerging,
    NearIndexes,
    Versions,
    Syncs,
    GoldenQuestions,
    Reindexes,
    Deletions,
    Storage,
  ],
  exports: [
    Revisions,
    Turns,
    Indexes,
    Chunks,
    Postings,
    UnreadDocuments,
    SegmentMerging,
    NearIndexes,
    Syncs,
    Deletions,
  ],
})
export class KnowledgeModule {}
