import { ProviderFailure } from './provider-failure.js';

/** Vectors for texts, in order; when one of the texts has none, for those before it only, and why it has none. */
export interface Embedded {
  vectors: number[][];
  spoiled: { place: number; failure: ProviderFailure } | null;
}

/**
 * Asks for all vectors at once. A batch that is not taken, or answered with something that cannot be used, is asked for in
 * halves, and these in halves, until it is taken or the text that spoils it stands alone: with one such text among n, that
 * is at most 1 + 2 log2(n) calls. A batch that is merely too large comes out whole.
 * @throws ProviderFailure when the provider fails in another way
 */
export async function isolate(texts: string[], ask: (texts: string[]) => Promise<number[][]>): Promise<Embedded> {
  try {
    return { vectors: await ask(texts), spoiled: null };
  } catch (error) {
    if (!(error instanceof ProviderFailure) || !['input', 'answer'].includes(error.kind)) throw error;
    if (texts.length === 1) return { vectors: [], spoiled: { place: 0, failure: error } };
  }
  const middle = Math.ceil(texts.length / 2);
  const first = await isolate(texts.slice(0, middle), ask);
  if (first.spoiled) return first;
  const { vectors, spoiled } = await isolate(texts.slice(middle), ask);
  return {
    vectors: [...first.vectors, ...vectors],
    spoiled: spoiled && { place: middle + spoiled.place, failure: spoiled.failure },
  };
}
