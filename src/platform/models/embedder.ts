import type { Embeddings } from '@langchain/core/embeddings';
import { OpenAIEmbeddings } from '@langchain/openai';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config, type RemoteModel } from '../../config.js';
import { PermanentFailure } from '../../errors.js';
import { LexicalEmbeddings } from './lexical-embeddings.js';

/** One embedding model: what it is called, and vectors of unit length from texts. */
export interface EmbeddingModel {
  readonly name: string;
  /** No meaning beyond shared letters: ranking gives it little weight. */
  readonly lexical: boolean;
  /** @returns how many numbers a vector has: asked of the model once, with a probe */
  dimensions(): Promise<number>;
  /** One unit vector for each text, in order. @throws Error when the answer is not that */
  embed(texts: string[]): Promise<number[][]>;
  /** The question's unit vector. Never waits long: a question is answered by keyword rather than late. @throws Error */
  embedQuery(text: string, dimensions: number): Promise<number[]>;
}

// How long a question waits for its vector before it is searched by keyword alone.
const questionMs = 5000;

/** The models this process can embed with: the built-in one always, the configured one when there is one. */
@Injectable()
export class Embedder {
  private readonly models: EmbeddingModel[];

  constructor(@Inject(CONFIG) config: Config) {
    const lexical = new LexicalEmbeddings();
    const builtIn = new CheckedModel(LexicalEmbeddings.model, true, lexical, lexical);
    this.models = config.embedding ? [remoteModel(config.embedding), builtIn] : [builtIn];
  }

  /** The model that new knowledge bases are made with. */
  get preferred(): EmbeddingModel {
    const [first] = this.models;
    if (!first) throw new Error('there is no embedding model');
    return first;
  }

  /** The model an index was built with, or null when this process is not configured for it (any more). */
  find(name: string): EmbeddingModel | null {
    return this.models.find((model) => model.name === name) ?? null;
  }
}

/** Documents are embedded with patience, questions without. */
function remoteModel(remote: RemoteModel): EmbeddingModel {
  const client = (timeout: number, maxRetries: number) =>
    new OpenAIEmbeddings({
      model: remote.model,
      apiKey: remote.apiKey,
      timeout,
      maxRetries,
      batchSize: 64,
      stripNewLines: false,
      // Some compatible servers do not know base64, which is the client's default.
      encodingFormat: 'float',
      configuration: { baseURL: remote.baseUrl },
    });
  const { timeoutMs } = remote;
  return new CheckedModel(remote.model, false, client(timeoutMs, 2), client(Math.min(timeoutMs, questionMs), 0));
}

class CheckedModel implements EmbeddingModel {
  private size: Promise<number> | null = null;

  constructor(
    readonly name: string,
    readonly lexical: boolean,
    private readonly documents: Embeddings,
    private readonly questions: Embeddings,
  ) {}

  dimensions(): Promise<number> {
    // A failed probe is forgotten, or an outage at the first document would last as long as the process.
    this.size ??= this.documents.embedQuery('dimensions').then(
      (vector) => vector.length,
      (error: unknown) => {
        this.size = null;
        throw error;
      },
    );
    return this.size;
  }

  async embed(texts: string[]): Promise<number[][]> {
    if (texts.length === 0) return [];
    const vectors = await this.documents.embedDocuments(texts);
    if (vectors.length !== texts.length)
      throw new Error(`${this.name} gave ${vectors.length} vectors for ${texts.length} texts`);
    const dimensions = await this.dimensions();
    return vectors.map((vector) => this.unit(vector, dimensions));
  }

  async embedQuery(text: string, dimensions: number): Promise<number[]> {
    return this.unit(await this.questions.embedQuery(text), dimensions);
  }

  /** A bad vector is never stored: it would be found for every question, or for none. */
  private unit(vector: number[], dimensions: number): number[] {
    const length = Math.hypot(...vector);
    // Each number is looked at: null, as JSON writes NaN, counts as 0 in a sum.
    if (vector.length !== dimensions || !vector.every(Number.isFinite) || !Number.isFinite(length) || length === 0) {
      throw new PermanentFailure(
        'bad_embedding',
        `The embedding model ${this.name} answered with a vector that cannot be used.`,
        true,
      );
    }
    return vector.map((value) => value / length);
  }
}
