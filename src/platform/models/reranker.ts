import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config, type RerankStyle } from '../../config.js';
import { modelFetch } from './model-fetch.js';
import { type Patience, Provider } from './provider.js';
import { ProviderFailure } from './provider-failure.js';

// A thousand scores with the documents repeated beside them.
const answerBytes = 8 * 1024 * 1024;

/** How a kind of server is asked, by whoever wrote its API page: Cohere v2, Jina v1, Hugging Face's text-embeddings-inference. */
interface Protocol {
  /** Texts in one call. */
  batch: number;
  body: (model: string, query: string, texts: string[]) => object;
  /** Where the scores stand in the answer, and under which name. */
  list: (answer: unknown) => unknown;
  score: 'relevance_score' | 'score';
}

const hosted = {
  batch: 1000,
  list: (answer: unknown) => (answer as { results?: unknown } | null)?.results,
  score: 'relevance_score',
} as const;

const protocols: Record<RerankStyle, Protocol> = {
  cohere: {
    ...hosted,
    body: (model, query, documents) => ({ model, query, documents, top_n: documents.length }),
  },
  jina: {
    ...hosted,
    body: (model, query, documents) => ({ model, query, documents, top_n: documents.length, return_documents: false }),
  },
  // As it comes, it takes no more than 32 texts a call, and none longer than the model reads unless it may cut them.
  tei: {
    batch: 32,
    body: (_model, query, texts) => ({ query, texts, truncate: true, raw_scores: false }),
    list: (answer) => answer,
    score: 'score',
  },
};

interface Remote {
  settings: NonNullable<Config['rerank']>;
  provider: Provider;
  fetch: typeof fetch;
}

/** The configured reranker: how well each text answers a question, read together with it. */
@Injectable()
export class Reranker {
  private readonly remote: Remote | null;

  constructor(@Inject(CONFIG) { rerank }: Config) {
    this.remote = rerank && {
      settings: rerank,
      provider: new Provider(rerank.concurrency),
      fetch: modelFetch(rerank.timeoutMs, answerBytes),
    };
  }

  /** `open`: the configured provider failed so often that it is left alone for a while. */
  get state(): 'none' | 'configured' | 'open' {
    if (!this.remote) return 'none';
    return this.remote.provider.state === 'open' ? 'open' : 'configured';
  }

  /**
   * Never waits longer than a question may: without it, it is answered all the same.
   * @returns a score for each text, in order; the higher the better, on a scale of the model's own
   * @throws ProviderFailure
   */
  async scores(query: string, texts: string[]): Promise<number[]> {
    const { remote } = this;
    if (!remote) throw new Error('no reranker is configured');
    const { settings, provider } = remote;
    const { batch } = protocols[settings.style];
    const patience: Patience = { totalMs: settings.timeoutMs, tries: 2, pauseMs: 100, longestPauseMs: 500 };
    const batches = Array.from({ length: Math.ceil(texts.length / batch) }, (_, at) =>
      texts.slice(at * batch, (at + 1) * batch),
    );
    const scored = await Promise.all(
      batches.map((some) => provider.call((signal) => ask(remote, query, some, signal), patience)),
    );
    return scored.flat();
  }
}

/** One call. */
async function ask(
  { settings, fetch }: Remote,
  query: string,
  texts: string[],
  signal: AbortSignal,
): Promise<number[]> {
  const protocol = protocols[settings.style];
  const answer = await fetch(`${settings.baseUrl}/rerank`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${settings.apiKey}` },
    body: JSON.stringify(protocol.body(settings.model, query, texts)),
    signal,
  });
  if (!answer.ok) {
    await answer.body?.cancel();
    // The status is all that is told: what a provider writes may repeat the texts.
    throw Object.assign(new Error('refused'), { status: answer.status, headers: answer.headers });
  }
  return inOrder(protocol.list(await answer.json()), protocol.score, texts.length);
}

/** @throws ProviderFailure unless there is exactly one number for each text */
function inOrder(list: unknown, field: Protocol['score'], texts: number): number[] {
  if (!Array.isArray(list)) throw new ProviderFailure('answer', 'the answer is no list of scores');
  const scores = new Map<unknown, number>();
  for (const item of list as unknown[]) {
    const { index, [field]: score } = (item ?? {}) as Record<string, unknown>;
    if (typeof score !== 'number' || !Number.isFinite(score)) {
      throw new ProviderFailure('answer', 'it gave a score that is no number');
    }
    scores.set(index, score);
  }
  const ordered = Array.from({ length: texts }, (_, at) => scores.get(at));
  if (list.length !== texts || ordered.includes(undefined)) {
    throw new ProviderFailure('answer', `it gave ${list.length} scores for ${texts} texts, or not one for each`);
  }
  return ordered as number[];
}
