import type { Embeddings } from '@langchain/core/embeddings';
import { OpenAIEmbeddings } from '@langchain/openai';
import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { CONFIG, type Config } from '../../config.js';
import { PermanentFailure } from '../../errors.js';
import { type Embedded, isolate } from './isolate.js';
import { LexicalEmbeddings, lexicalVector } from './lexical-embeddings.js';
import { embeddingFetch } from './model-fetch.js';
import { type Patience, Provider } from './provider.js';
import { ProviderFailure } from './provider-failure.js';
import { quarters, type Reading, readingOf } from './tokens.js';

/** One embedding model: what it is called, and vectors of unit length from texts. */
export interface EmbeddingModel {
  readonly name: string;
  /** No meaning beyond shared letters: ranking gives it little weight. */
  readonly lexical: boolean;
  /** @throws ProviderFailure while the provider is down: nothing that needs vectors need be begun */
  check(): void;
  /** How it counts what it reads, and how much of that at once. */
  reading(): Promise<Reading>;
  /**
   * @returns how many numbers a vector has: asked of the model once, with a probe
   * @throws ProviderFailure that may pass, or PermanentFailure
   */
  dimensions(): Promise<number>;
  /** @throws ProviderFailure that may pass, or PermanentFailure when the model gives no usable vectors at all */
  embed(texts: string[]): Promise<Embedded>;
  /** The question's unit vector. Never waits long: a question is answered by keyword rather than late. @throws Error */
  embedQuery(text: string, dimensions: number): Promise<number[]>;
  /** The question's unit vector where nobody need be asked for it: a built-in model's, or one that was asked for lately. */
  queryAtHand(text: string, dimensions: number): number[] | undefined;
}

/** Which vectors are asked for: a model's own, or cut to so many numbers where the model can do that. */
export interface EmbeddingWish {
  model: string;
  dimensions?: number;
}

type EmbeddingSettings = NonNullable<Config['embedding']>;

/** The models this process can embed with: the built-in one always, the configured ones where there are any. */
@Injectable()
export class Embedder {
  /** The model that new knowledge bases are made with. */
  readonly preferred: EmbeddingModel;
  private readonly builtIn = new CheckedModel(LexicalEmbeddings.model, new LexicalEmbeddings());
  private readonly provider: Provider | null;
  private readonly remote = new Map<string, EmbeddingModel>();

  constructor(@Inject(CONFIG) private readonly config: Pick<Config, 'embedding'>) {
    const { embedding } = config;
    this.provider = embedding && new Provider(embedding.concurrency);
    this.preferred = (embedding && this.find({ model: embedding.models[0] })) ?? this.builtIn;
  }

  /** `open`: the configured provider failed so often that it is left alone for a while. */
  get state(): 'built-in' | 'configured' | 'open' {
    if (!this.provider) return 'built-in';
    return this.provider.state === 'open' ? 'open' : 'configured';
  }

  /** The model an index was built with, or null when this process is not configured for it (any more). */
  find(wish: EmbeddingWish): EmbeddingModel | null {
    const { model, dimensions } = wish;
    if (model === this.builtIn.name)
      return dimensions === undefined || dimensions === LexicalEmbeddings.dimensions ? this.builtIn : null;
    const { embedding } = this.config;
    if (!embedding || !this.provider || !embedding.models.includes(model)) return null;
    const key = `${dimensions ?? 'own'} ${model}`;
    const found = this.remote.get(key) ?? remoteModel(embedding, wish, this.provider);
    this.remote.set(key, found);
    return found;
  }
}

/** Documents are embedded with patience, questions without. */
function remoteModel(settings: EmbeddingSettings, wish: EmbeddingWish, provider: Provider): EmbeddingModel {
  const { timeoutMs, queryTimeoutMs, retryMs } = settings;
  return new CheckedModel(wish.model, openAi(settings, wish, timeoutMs), {
    size: wish.dimensions ?? null,
    reading: () => readingOf(wish.model, settings.maxTokens),
    provider,
    questions: openAi(settings, wish, Math.min(timeoutMs, queryTimeoutMs)),
    // One call may always be made in full, however short the time for further ones.
    patience: { totalMs: timeoutMs + retryMs, tries: retryMs === 0 ? 1 : 5, pauseMs: 500, longestPauseMs: retryMs },
    haste: { totalMs: queryTimeoutMs, tries: 2, pauseMs: 100, longestPauseMs: 500 },
  });
}

function openAi({ apiKey, baseUrl }: EmbeddingSettings, wish: EmbeddingWish, timeoutMs: number): Embeddings {
  return new OpenAIEmbeddings({
    ...wish,
    apiKey,
    // Tries, time and calls at once are the provider's to count.
    maxRetries: 0,
    maxConcurrency: Infinity,
    timeout: timeoutMs,
    batchSize: 2048,
    stripNewLines: false,
    // Some compatible servers do not know base64, which is the client's default.
    encodingFormat: 'float',
    configuration: { baseURL: baseUrl, fetch: embeddingFetch(timeoutMs), logLevel: 'off' },
  });
}

/** How a model that is not built in is asked. */
interface Remote {
  /** How many numbers it was asked for; null: as many as it gives. */
  size: number | null;
  reading: () => Promise<Reading>;
  provider: Provider;
  questions: Embeddings;
  patience: Patience;
  haste: Patience;
}

// Vectors of questions asked lately: people ask the same again, page through answers, and try other filters.
const mostQuestions = 500;

class CheckedModel implements EmbeddingModel {
  private readonly asked = new LRUCache<string, number[]>({ max: mostQuestions });
  private size: Promise<number> | null = null;

  /** @param remote null: the model is built in, and can neither be late nor away */
  constructor(
    readonly name: string,
    private readonly documents: Embeddings,
    private readonly remote: Remote | null = null,
  ) {}

  get lexical(): boolean {
    return this.remote === null;
  }

  check(): void {
    this.remote?.provider.check();
  }

  async reading(): Promise<Reading> {
    return this.remote ? this.remote.reading() : { tokens: quarters, maxTokens: Infinity };
  }

  dimensions(): Promise<number> {
    // A failed probe is forgotten, or an outage at the first document would last as long as the process.
    this.size ??= this.ask(() => this.documents.embedQuery('dimensions'))
      .then((vector) => {
        checkSize(vector, this.remote?.size ?? vector.length);
        return vector.length;
      })
      .catch((error: unknown) => {
        this.size = null;
        throw this.permanent(error, ['input', 'answer', 'refused']);
      });
    return this.size;
  }

  async embed(texts: string[]): Promise<Embedded> {
    if (texts.length === 0) return { vectors: [], spoiled: null };
    const dimensions = await this.dimensions();
    try {
      return await isolate(texts, (some) =>
        this.ask(async () => units(await this.documents.embedDocuments(some), dimensions)),
      );
    } catch (error) {
      throw this.permanent(error, ['refused']);
    }
  }

  async embedQuery(text: string, dimensions: number): Promise<number[]> {
    if (!this.remote) return units([lexicalVector(text)], dimensions)[0] ?? [];
    const { provider, questions, haste } = this.remote;
    const vector = await provider.call(
      async () => units([await questions.embedQuery(text)], dimensions)[0] ?? [],
      haste,
    );
    this.asked.set(questionKey(text, dimensions), vector);
    return vector;
  }

  queryAtHand(text: string, dimensions: number): number[] | undefined {
    return this.remote ? this.asked.get(questionKey(text, dimensions)) : units([lexicalVector(text)], dimensions)[0];
  }

  private ask<T>(call: () => Promise<T>): Promise<T> {
    return this.remote ? this.remote.provider.call(call, this.remote.patience) : call();
  }

  /** Failures of these kinds as the end of a document, in a sentence for whoever runs the service; others as they are. */
  private permanent(error: unknown, kinds: string[]): unknown {
    if (!(error instanceof ProviderFailure) || !kinds.includes(error.kind)) return error;
    const sentence = `The embedding model ${this.name} gives no vectors: ${error.message}. Once that is mended, try again.`;
    return new PermanentFailure('embedding_refused', sentence, true, { cause: error });
  }
}

const questionKey = (text: string, dimensions: number): string => `${dimensions} ${text}`;

/**
 * The vectors, each made unit length. A bad one is never stored: it would be found for every question, or for none.
 * @throws ProviderFailure for one that holds something else than numbers, or no direction
 * @throws PermanentFailure for one of another size: the model is not the one that the index was built with
 */
function units(vectors: number[][], dimensions: number): number[][] {
  return vectors.map((vector) => {
    checkSize(vector, dimensions);
    const length = Math.hypot(...vector);
    // Each number is looked at: null, as JSON writes NaN, counts as 0 in a sum.
    if (!vector.every(Number.isFinite) || !Number.isFinite(length) || length === 0) {
      throw new ProviderFailure('answer', 'it gave a vector that cannot be used');
    }
    return vector.map((value) => value / length);
  });
}

function checkSize(vector: number[], dimensions: number): void {
  const size = Array.isArray(vector) ? vector.length : 0;
  if (size === dimensions) return;
  const sentence = `The embedding model answered with vectors of ${size} numbers where ${dimensions} are needed.`;
  throw new PermanentFailure('bad_embedding', sentence, true);
}
