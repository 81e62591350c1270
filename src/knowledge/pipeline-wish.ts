import { ApiError, invalidField } from '../errors.js';
import type { Embedder, EmbeddingModel, EmbeddingWish } from '../platform/models/embedder.js';
import { chunkSizes, type ChunkWish, isLanguage, type Pipeline } from './pipeline.js';

/** Told of each document by its text. */
export const automatic = 'auto';

/** What a caller may say of a pipeline; what is absent stays. */
export interface PipelineWish {
  chunking?: ChunkWish;
  /** An ISO 639-1 code, or `auto`. */
  language?: string;
  /** A model by its name has vectors of its own size, unless that is said too. */
  embedding?: Partial<EmbeddingWish>;
}

/**
 * The pipeline with these parts in place of its own.
 * @throws ApiError validation_failed for sizes in two units, unprocessable for a language nobody knows
 */
export function pipelineOf(wish: PipelineWish, before: Pipeline): Pipeline {
  const language = wish.language ?? before.language ?? automatic;
  if (language !== automatic && !isLanguage(language)) throw noLanguage();
  const chunking = wish.chunking === undefined ? before.chunking : chunkSizes(wish.chunking);
  if (!chunking) throw invalidField('pipeline.chunking', 'gives sizes in tokens or in characters, not in both');
  return {
    chunking,
    embedding: embeddingOf(wish.embedding ?? {}, before.embedding),
    ...(language === automatic ? {} : { language }),
  };
}

function embeddingOf({ model, dimensions }: Partial<EmbeddingWish>, before: EmbeddingWish): EmbeddingWish {
  return { ...(model === undefined ? before : { model }), ...(dimensions === undefined ? {} : { dimensions }) };
}

/**
 * The model that a pipeline asks for.
 * @throws ApiError unprocessable when this process has none of that name, or none with so many numbers
 */
export function configured(embedder: Embedder, { embedding }: Pipeline): EmbeddingModel {
  const found = embedder.find(embedding);
  if (found) return found;
  const { model, dimensions } = embedding;
  const field = 'pipeline.embedding.model';
  const message = `names ${model}${dimensions === undefined ? '' : ` with ${dimensions} dimensions`}, which is not configured here`;
  throw new ApiError('unprocessable', `${field} ${message}.`, [{ field, message }]);
}

export const showPipeline = (pipeline: Pipeline) => ({ ...pipeline, language: pipeline.language ?? automatic });

function noLanguage(): ApiError {
  const message = 'must be `auto` or an ISO 639-1 code in lower case, such as `en`, `de` or `zh`';
  return new ApiError('unprocessable', `pipeline.language ${message}.`, [{ field: 'pipeline.language', message }]);
}
