import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the model does with one request: says something, fails with a status, hangs, breaks off in the middle, or goes silent there. */
export type Turn = { say: string } | { status: number } | 'hang' | { cut: string } | { stall: string };

export interface Heard {
  model: string;
  stream: boolean;
  messages: { role: string; content: string }[];
}

/** A chat model behind the OpenAI protocol, played by a real HTTP server that follows a script. */
export async function startChatModel(script: (heard: Heard) => Turn) {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      const asked = JSON.parse(body) as Heard;
      heard.push(asked);
      const turn = script(asked);
      if (turn === 'hang') return;
      if ('status' in turn) {
        response.writeHead(turn.status, { 'content-type': 'application/json' });
        return void response.end(JSON.stringify({ error: { message: 'scripted' } }));
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const word of Object.values(turn)
        .join('')
        .split(/(?<=\s)/)) {
        const chunk = {
          id: 'c',
          object: 'chat.completion.chunk',
          created: 1,
          model: asked.model,
          choices: [{ index: 0, delta: { role: 'assistant', content: word } }],
        };
        response.write(`data: ${JSON.stringify(chunk)}\n\n`);
      }
      if ('stall' in turn) return;
      if ('cut' in turn) return void response.destroy();
      const last = {
        id: 'c',
        object: 'chat.completion.chunk',
        created: 1,
        model: asked.model,
        choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
      };
      response.end(`data: ${JSON.stringify(last)}\n\ndata: [DONE]\n\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    heard,
    env: { CHAT_BASE_URL: `http://127.0.0.1:${port}/v1`, CHAT_MODEL: 'scripted', CHAT_TIMEOUT_MS: '1500' },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
