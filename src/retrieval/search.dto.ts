import {
  BooleanField,
  ChoiceField,
  IntegerField,
  NestedField,
  NumberField,
  ObjectField,
  TextField,
} from '../platform/http/fields.js';
import { OnlookerDto } from '../access/access.dto.js';
import type { SearchMode } from './retrieval.js';

/** The steps after ranking, each of which can be switched off. */
export class RankDto {
  @BooleanField({
    optional: true,
    default: true,
    description:
      'What the question quotes ("…") or names exactly (error codes, versions, part numbers) lifts the passages that hold it; years are read in any spelling.',
  })
  understand = true;

  @BooleanField({
    optional: true,
    default: true,
    description: 'Leave out passages that say nearly word for word what a better one says.',
  })
  dropDuplicates = true;

  @IntegerField({
    optional: true,
    min: 0,
    max: 100,
    default: 3,
    description: 'At most so many passages of a document, unless fewer documents match. 0: any number.',
  })
  perDocument = 3;

  @BooleanField({ optional: true, default: true, description: 'Ask the reranker, where one is configured.' })
  rerank = true;
}

export class RecencyDto {
  @NumberField({ min: 0.01, max: 100_000, description: 'Days after which the preference is half of what it was.' })
  halfLifeDays: number;

  @NumberField({
    optional: true,
    min: 0,
    max: 10,
    default: 0.3,
    description:
      'What a document of today is worth, as a share of the best score; beyond 1, age counts for more than fit.',
  })
  weight = 0.3;
}

export class SearchDto {
  @TextField({ max: 4000, example: 'How many days of parental leave are there?' })
  query: string;

  @IntegerField({ optional: true, min: 1, max: 100, default: 8 })
  topK = 8;

  @ChoiceField({ optional: true, of: ['hybrid', 'semantic', 'keyword'] })
  mode: SearchMode = 'hybrid';

  @ObjectField({ optional: true, example: { all: [{ field: 'metadata.product', in: ['a', 'b'] }] } })
  filter?: Record<string, unknown>;

  @IntegerField({
    optional: true,
    min: 0,
    max: 999_999_999,
    description: 'Look back at this version (scope versions:look-back).',
  })
  version?: number;

  @NestedField(() => RankDto, { optional: true, description: 'What is done with ranked passages.' })
  rank: RankDto = new RankDto();

  @NestedField(() => RecencyDto, {
    optional: true,
    description:
      'Prefer newer documents, by `sourceUpdatedAt`, or when they last changed here. Absent: all ages alike.',
  })
  recency?: RecencyDto;

  @IntegerField({
    optional: true,
    min: 0,
    max: 3,
    default: 0,
    description: 'So many neighbouring passages on each side, as `before` and `after`.',
  })
  expand = 0;

  @BooleanField({ optional: true, default: false, description: 'Say of each result what its score is the sum of.' })
  explain = false;

  @TextField({
    optional: true,
    max: 100,
    example: 'doc_019c0000-0000-7000-8000-000000000000',
    description: 'With `explain`: why this document is in the list, or is not.',
  })
  documentId?: string;

  @NestedField(() => OnlookerDto, {
    optional: true,
    description: 'With `explain`: search with the eyes of somebody else (scope documents:read-all).',
  })
  as?: OnlookerDto;
}
