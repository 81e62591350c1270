import { createHash } from 'node:crypto';
import { startEmbeddingServer } from '../service/embedding-server.js';
import { Receiver } from '../service/receiver.js';
import { type Json, makeMortal } from './mortal-service.js';

/** A receiver's view of one delivery, with the base that its event is about. */
export interface Heard {
  messageId: string;
  base: string;
  event: Json;
}

const sentence = (n: number) =>
  `Rule ${n} holds for everyone in the house, on every day of year ${1900 + n}, and is kept in binder ${n * 7}. `;

/** Enough for three batches of embeddings, and for a file that arrives in several parts. */
export const longDocument = Array.from(
  { length: 150 },
  (_, n) => `## Rule ${n}\n\n${sentence(n).repeat(6).trim()}`,
).join('\n\n');

/** A vector that follows from the text, so that a chunk with another's vector is noticed. */
const fromText = (texts: string[]): number[][] =>
  texts.map((text) => [...createHash('sha256').update(text).digest().subarray(0, 6)].map((byte) => byte + 1));

const documents = (base: string) => `/v1/knowledge-bases/${base}/documents`;

export type CrashBench = Awaited<ReturnType<typeof openCrashBench>>;

/** A service to kill, with the two that stand outside and see it die: an embedding model and a webhook receiver. */
export async function openCrashBench() {
  const embeddings = await startEmbeddingServer(fromText);
  const receiver = await new Receiver().start();
  const service = await makeMortal({
    ...embeddings.env,
    OUTBOUND_ALLOW_CIDRS: '127.0.0.0/8',
    HEAVY_CONCURRENCY: '1',
  });
  await service.start();
  const endpoint = { url: receiver.url, events: ['*'] };
  await service.request('POST', '/v1/webhook-endpoints', { body: endpoint });

  const eventsOf = async (base: string): Promise<Json[]> => {
    const { body } = await service.request('GET', '/v1/events?limit=200');
    return body.data.filter((event: Json) => event.data.knowledgeBaseId === base).toReversed();
  };
  const heardOf = (base: string): Heard[] =>
    receiver.received
      .map(({ headers, body }) => ({ messageId: String(headers['webhook-id']), event: JSON.parse(body) as Json }))
      .map((heard) => ({ ...heard, base: heard.event.data.knowledgeBaseId as string }))
      .filter((heard) => heard.base === base);

  return {
    service,
    embeddings,
    receiver,
    eventsOf,
    heardOf,
    /** How many times the model was asked for vectors of passages. */
    batches: () => embeddings.asked.filter(([first]) => first !== 'dimensions').length,
    /** @returns the id of a base whose long document has 150 chunks */
    newBase: async (name: string): Promise<string> => {
      const pipeline = { chunking: { targetChars: 600, maxChars: 900 } };
      return (await service.request('POST', '/v1/knowledge-bases', { body: { name, pipeline } })).body.id;
    },
    /** @returns null when the connection broke off, as it does when the service dies under it */
    upload: async (base: string, content = longDocument, externalId = 'it') => {
      const form = new FormData();
      form.append('file', new Blob([content], { type: 'text/markdown' }), 'rules.md');
      form.append('externalId', externalId);
      return service.request('POST', documents(base), { form }).catch(() => null);
    },
    list: async (base: string): Promise<Json[]> => (await service.request('GET', documents(base))).body.data,
    chunks: async (base: string, id: string): Promise<Json[]> => {
      const { body } = await service.request('GET', `${documents(base)}/${id}/chunks?limit=200`);
      return body.data.map(({ id: _id, ...chunk }: Json) => chunk);
    },
    /** Until the base's documents have ended, and the receiver has heard of everything that happened in it. */
    settled: (base: string) =>
      service.until('the base to settle', async () => {
        const { body } = await service.request('GET', documents(base));
        const ended = body.data.every(({ status }: Json) => ['ready', 'failed'].includes(status));
        if (!ended || body.data.length === 0) return false;
        const heard = new Set(heardOf(base).map(({ event }) => event.id));
        const waiting = await service.request('GET', '/v1/webhook-deliveries?status=pending');
        return waiting.body.data.length === 0 && (await eventsOf(base)).every(({ id }) => heard.has(id));
      }),
    close: async () => {
      await service.remove();
      embeddings.stop();
      await receiver.stop();
    },
  };
}
