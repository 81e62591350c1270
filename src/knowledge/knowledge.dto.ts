import {
  BooleanField,
  ChoiceField,
  IntegerField,
  NestedField,
  ObjectField,
  TextField,
  TimeField,
} from '../platform/http/fields.js';
import { PageQuery } from '../platform/http/pages.js';
import { AccessDto } from './document-access.js';
import { GateDto } from './gate.dto.js';

export class ChunkingDto {
  @IntegerField({
    optional: true,
    min: 25,
    max: 4000,
    default: 275,
    description:
      'Chunks grow up to this many tokens of the embedding model; the built-in one counts four characters as one.',
  })
  targetTokens?: number;

  @IntegerField({ optional: true, min: 25, max: 8000, default: 325, description: 'No chunk is larger than this.' })
  maxTokens?: number;

  @IntegerField({ optional: true, min: 100, max: 8000, description: 'The same in characters, instead of tokens.' })
  targetChars?: number;

  @IntegerField({ optional: true, min: 100, max: 16_000, description: 'The same in characters, instead of tokens.' })
  maxChars?: number;
}

export class EmbeddingDto {
  @TextField({ optional: true, max: 200, description: 'A model that this service is configured for.' })
  model?: string;

  @IntegerField({
    optional: true,
    min: 1,
    max: 4000,
    description: 'Numbers a vector, of a model that can be asked for fewer than its own.',
  })
  dimensions?: number;
}

export class PipelineDto {
  @NestedField(() => ChunkingDto, { optional: true })
  chunking?: ChunkingDto;

  @NestedField(() => EmbeddingDto, { optional: true })
  embedding?: EmbeddingDto;

  @TextField({
    optional: true,
    max: 20,
    example: 'de',
    description: 'What all documents are in, as an ISO 639-1 code; `auto`, the default: told of each by its text.',
  })
  language?: string;
}

export class ReindexDto {
  @NestedField(() => PipelineDto, { optional: true, description: 'What is absent stays as it is.' })
  pipeline = new PipelineDto();
}

export class CreateKnowledgeBaseDto {
  @TextField({ max: 200, example: 'handbook' })
  name: string;

  @NestedField(() => PipelineDto, { optional: true })
  pipeline?: PipelineDto;
}

export class ChangeKnowledgeBaseDto {
  @TextField({ optional: true, max: 200 })
  name?: string;

  @NestedField(() => GateDto, { optional: true })
  gate?: GateDto;
}

export class ActivateDto {
  @BooleanField({ optional: true, default: false, description: 'Also when the gate has blocked it.' })
  force = false;
}

export class CommitSyncDto {
  @BooleanField({
    optional: true,
    default: false,
    description: 'Takes what the sync did not name out of the new version, as far as the caller may see it.',
  })
  deleteMissing = false;
}

/** Everything that can be said of a document beside its content. */
export class DocumentDetailsDto {
  @TextField({ optional: true, max: 500 })
  title?: string;

  @TextField({ optional: true, max: 2000, pattern: /^https?:\/\/\S+$/, example: 'https://example.com/handbook' })
  sourceUrl?: string;

  @TimeField({ optional: true, description: 'When the source says it changed.' })
  sourceUpdatedAt?: string;

  @ObjectField({ optional: true, example: { product: 'x200' } })
  metadata?: Record<string, unknown>;

  @NestedField(() => AccessDto, { optional: true })
  access?: AccessDto;
}

export class DocumentQuery extends PageQuery {
  @TextField({ optional: true, max: 500 })
  externalId?: string;

  @ChoiceField({
    optional: true,
    of: ['queued', 'parsing', 'chunking', 'embedding', 'staged', 'ready', 'failed', 'superseded'],
  })
  status?: string;
}

export class RevisionQuery {
  @TextField({
    optional: true,
    max: 60,
    description: 'The revision that a citation names; absent: the one that answers now.',
  })
  revision?: string;

  @ChoiceField({
    optional: true,
    of: ['text', 'original'],
    description: 'The stored text as JSON, or the bytes as uploaded.',
  })
  format: 'text' | 'original' = 'text';
}

/** Chunks and versions are numbered: their cursor is a number. */
export class NumberedPageQuery {
  @IntegerField({ optional: true, min: 1, max: 200, default: 50 })
  limit = 50;

  @TextField({ optional: true, max: 9, pattern: /^\d+$/ })
  cursor?: string;
}
