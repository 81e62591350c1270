import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type RerankStyle = 'cohere' | 'jina' | 'tei';

/** What came to the server, as it came. */
export interface Asked {
  path: string;
  key: string | undefined;
  body: Record<string, unknown>;
  query: string;
  texts: string[];
}

/** A score for each text (anything JSON can hold, if it is to be wrong), a status, other bytes than JSON, or nothing at all. */
export type Verdict = unknown[] | { status: number } | { raw: string } | 'hang';

/** A reranker played by a real HTTP server that follows a script: the best first, as they do. */
export async function startRerankServer(style: RerankStyle, judge: (asked: Asked) => Verdict) {
  const asked: Asked[] = [];
  const model = { judge, asked };
  const server = createServer((request, response) => {
    let received = '';
    request.on('data', (part: Buffer) => (received += part.toString()));
    request.on('end', () => {
      const body = JSON.parse(received) as Record<string, unknown>;
      const texts = (style === 'tei' ? body['texts'] : body['documents']) as string[];
      const one = {
        path: request.url ?? '',
        key: request.headers.authorization,
        body,
        query: String(body['query']),
        texts,
      };
      asked.push(one);
      const verdict = model.judge(one);
      if (verdict === 'hang') return;
      if ('status' in verdict) return void response.writeHead(verdict.status).end('{"message":"scripted"}');
      response.writeHead(200, { 'content-type': 'application/json' });
      if ('raw' in verdict) return void response.end(verdict.raw);
      const field = style === 'tei' ? 'score' : 'relevance_score';
      const results = verdict
        .map((score, index) => ({ index, [field]: score }))
        .sort((one_, other) => Number(other[field]) - Number(one_[field]));
      response.end(JSON.stringify(style === 'tei' ? results : { id: 'r', results, meta: {} }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(model, {
    env: {
      RERANK_BASE_URL: `http://127.0.0.1:${port}/v9`,
      RERANK_STYLE: style,
      RERANK_API_KEY: 'the-key-of-the-reranker',
      RERANK_TIMEOUT_MS: '1000',
      ...(style === 'tei' ? {} : { RERANK_MODEL: 'scripted' }),
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  });
}
