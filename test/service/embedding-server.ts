import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the model answers to some texts: vectors (anything JSON can hold, if it is to be wrong), or a status. */
export type Vectors = (texts: string[]) => unknown[][] | { status: number };

// Words on one line mean the same to this model: what no keyword search can know.
const meanings = [/leave|holiday|vacation/i, /train|railway|plane|travel/i, /salary|wage|pay/i];

/** One number a meaning, and a small constant so that no vector is zero. */
export const byMeaning = (texts: string[]): number[][] =>
  texts.map((text) => [...meanings.map((meaning) => (meaning.test(text) ? 1 : 0)), 0.1]);

/** An embedding model behind the OpenAI protocol, played by a real HTTP server whose answers a test may change. */
export async function startEmbeddingServer(answer: Vectors = byMeaning) {
  const asked: string[][] = [];
  const model = { answer, asked };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      const { input, model: name } = JSON.parse(body) as { input: string | string[]; model: string };
      const texts = [input].flat();
      asked.push(texts);
      const vectors = model.answer(texts);
      if (!Array.isArray(vectors)) {
        response.writeHead(vectors.status, { 'content-type': 'application/json' });
        return void response.end(JSON.stringify({ error: { message: 'scripted' } }));
      }
      const data = vectors.map((embedding, index) => ({ object: 'embedding', index, embedding }));
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ object: 'list', model: name, data, usage: { prompt_tokens: 1, total_tokens: 1 } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(model, {
    env: {
      EMBEDDING_BASE_URL: `http://127.0.0.1:${port}/v1`,
      EMBEDDING_MODEL: 'scripted',
      EMBEDDING_TIMEOUT_MS: '2000',
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  });
}
