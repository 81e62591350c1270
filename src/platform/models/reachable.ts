import { fetch } from 'undici';
import type { RemoteModel } from '../../config.js';

const lastsMs = 10_000;
const limitMs = 1500;

/**
 * Asks whether a model's server answers at all, without buying anything: `GET /models`, which OpenAI-compatible servers
 * list for free. One that does not know the address, or wants another key, is there all the same.
 * @returns a question that may be put every second by a balancer: the server hears it once in 10 s
 */
export function reachability({ baseUrl, apiKey }: RemoteModel): () => Promise<void> {
  let asked: { at: number; answer: Promise<void> } | null = null;
  const ask = async () => {
    const headers = { authorization: `Bearer ${apiKey}` };
    const { status, body } = await fetch(`${baseUrl}/models`, { headers, signal: AbortSignal.timeout(limitMs) });
    await body?.cancel();
    if (status >= 500) throw new Error(`the model's server answered ${status}`);
  };
  return () => {
    if (!asked || performance.now() - asked.at > lastsMs) {
      asked = { at: performance.now(), answer: ask() };
      asked.answer.catch(() => undefined); // whoever waits hears of it, and often nobody does any more
    }
    return asked.answer;
  };
}
