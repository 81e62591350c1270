import { ProviderFailure } from './provider-failure.js';

type Fetch = typeof fetch;

/**
 * The `fetch` that model clients are given. The time limit lasts until the whole answer is there (a client's own ends
 * with the headers), no redirect is followed (documents would be sent to another address than the configured one), and
 * an endless answer ends.
 */
export function modelFetch(timeoutMs: number, maxBytes: number): Fetch {
  return async (url, init) => {
    const limit = AbortSignal.timeout(timeoutMs);
    const signal = init?.signal ? AbortSignal.any([limit, init.signal]) : limit;
    const answer = await fetch(url, { ...init, signal, redirect: 'manual' });
    if (!answer.body) return answer;
    const { status, statusText, headers } = answer;
    return new Response(answer.body.pipeThrough(upTo(maxBytes)), { status, statusText, headers });
  };
}

// 64 vectors of 16,000 numbers, the most that pgvector stores, are 20 MB of JSON.
const embeddingBytes = 32 * 1024 * 1024;

/**
 * The same, for `POST …/embeddings`: an answer that is not one vector for each text is a failure, and vectors that come in
 * another order than the texts are put right. The client library reads them in the order they come, whatever their `index`
 * says, so that a passage would be given another one's vector.
 */
export function embeddingFetch(timeoutMs: number): Fetch {
  const call = modelFetch(timeoutMs, embeddingBytes);
  return async (url, init) => {
    const answer = await call(url, init);
    if (!answer.ok) return answer;
    const { input } = JSON.parse(String(init?.body)) as { input: string | string[] };
    const list: unknown = await answer.json();
    const { data } = (list ?? {}) as { data?: unknown };
    if (!Array.isArray(data)) throw new ProviderFailure('passing', 'the answer is no list of vectors');
    return Response.json({ ...(list as object), data: inOrder(data, [input].flat().length) });
  };
}

/** @returns the items, by their `index` if they have one. @throws ProviderFailure unless there is one for each text */
function inOrder(items: unknown[], texts: number): unknown[] {
  if (items.length !== texts) {
    throw new ProviderFailure('answer', `it gave ${items.length} vectors for ${texts} texts`);
  }
  const places = items.map((item) => (item as { index?: unknown } | null)?.index);
  if (places.every((place) => place === undefined)) return items;
  const ordered = Array.from({ length: texts }, (_, place) => items[places.indexOf(place)]);
  if (ordered.includes(undefined)) throw new ProviderFailure('answer', 'it did not say which vector is for which text');
  return ordered;
}

function upTo(maxBytes: number): TransformStream<Uint8Array, Uint8Array> {
  let size = 0;
  return new TransformStream({
    transform(part, controller) {
      size += part.length;
      if (size > maxBytes)
        controller.error(new ProviderFailure('passing', `the answer is longer than ${maxBytes} bytes`));
      else controller.enqueue(part);
    },
  });
}
