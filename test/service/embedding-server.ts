import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What the model does with some texts: gives vectors (anything JSON can hold, if it is to be wrong), lists them itself in
 * `data`, refuses with a status, answers with other bytes than JSON (all of them, or never ending), hangs, or hangs up.
 */
export type Reply =
  | unknown[][]
  | { data: unknown }
  | { status: number; headers?: Record<string, string>; error?: object }
  | { raw: string; forever?: boolean }
  | 'hang'
  | 'reset';

/** Who is asked, and for how many numbers where that was said. */
export interface Asked {
  model: string;
  dimensions?: number;
}

export type Vectors = (texts: string[], asked: Asked) => Reply;

// Words on one line mean the same to this model: what no keyword search can know.
const meanings = [/leave|holiday|vacation/i, /train|railway|plane|travel/i, /salary|wage|pay/i];

/** One number a meaning, and a small constant so that no vector is zero. */
export const byMeaning = (texts: string[]): number[][] =>
  texts.map((text) => [...meanings.map((meaning) => (meaning.test(text) ? 1 : 0)), 0.1]);

/** The same, as items of an answer that say which text they belong to. */
export const items = (texts: string[]) =>
  byMeaning(texts).map((embedding, index) => ({ object: 'embedding', index, embedding }));

/** An embedding model behind the OpenAI protocol, played by a real HTTP server whose answers a test may change. */
export async function startEmbeddingServer(answer: Vectors = byMeaning) {
  const asked: string[][] = [];
  const model = { answer, asked, busiest: 0 };
  let busy = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      const { input, ...wish } = JSON.parse(body) as Asked & { input: string | string[] };
      const texts = [input].flat();
      asked.push(texts);
      model.busiest = Math.max(model.busiest, ++busy);
      response.once('close', () => busy--);
      const reply = model.answer(texts, wish);
      if (reply === 'hang') return;
      if (reply === 'reset') return void request.socket.resetAndDestroy();
      if ('status' in reply) {
        response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
        return void response.end(JSON.stringify({ error: reply.error ?? { message: 'scripted' } }));
      }
      if ('raw' in reply) {
        response.writeHead(200, { 'content-type': reply.raw.startsWith('<') ? 'text/html' : 'application/json' });
        if (!reply.forever) return void response.end(reply.raw);
        const more = (): void => {
          while (!response.destroyed && response.write(reply.raw));
          response.once('drain', more);
        };
        return more();
      }
      const data = Array.isArray(reply)
        ? reply.map((embedding, index) => ({ object: 'embedding', index, embedding }))
        : reply.data;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ object: 'list', model: wish.model, data, usage: { prompt_tokens: 1, total_tokens: 1 } }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(model, {
    port,
    env: {
      EMBEDDING_BASE_URL: `http://127.0.0.1:${port}/v1`,
      EMBEDDING_MODEL: 'scripted',
      EMBEDDING_TIMEOUT_MS: '2000',
      // A document that waits is announced again by hand.
      EMBEDDING_RETRY_MS: '0',
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  });
}
