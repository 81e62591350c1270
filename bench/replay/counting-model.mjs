import { createServer } from 'node:http';
import { lexicalVector } from '../../dist/platform/models/lexical-embeddings.js';

/** The built-in vectors behind the OpenAI protocol, by somebody who counts what he is asked for. */
export async function startCountingModel() {
  let texts = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      const { input, model } = JSON.parse(body);
      // Documents come as lists, questions and the probe of its dimensions one by one.
      if (Array.isArray(input)) texts += input.length;
      const data = [input]
        .flat()
        .map((text, index) => ({ object: 'embedding', index, embedding: [...lexicalVector(text)] }));
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ object: 'list', model, data, usage: { prompt_tokens: 1, total_tokens: 1 } }));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  return {
    env: { EMBEDDING_BASE_URL: `http://127.0.0.1:${server.address().port}/v1`, EMBEDDING_MODEL: 'counting' },
    /** How many texts of documents it was asked for since it was last asked this. */
    taken: () => {
      const taken = texts;
      texts = 0;
      return taken;
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
