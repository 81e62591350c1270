import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What the model does with one request: says something (in one piece a word, or in the pieces given, or ended in another
 * way than by being finished), fails with a status, hangs, breaks off in the middle, goes silent there, ends there as if
 * that were all, or answers with other bytes than a stream of its own.
 */
export type Turn =
  | { say: string; finish?: string }
  | { pieces: string[] }
  | { status: number; error?: object }
  | { cut: string }
  | { stall: string }
  | { stops: string }
  | { raw: string; type?: string }
  | 'hang';

export interface Heard {
  model: string;
  stream: boolean;
  messages: { role: string; content: string }[];
}

/** A chat model behind the OpenAI protocol, played by a real HTTP server that follows a script. */
export async function startChatModel(script: (heard: Heard) => Turn | Promise<Turn>) {
  const heard: Heard[] = [];
  const hangUps: (() => void)[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      const asked = JSON.parse(body) as Heard;
      heard.push(asked);
      response.once('close', () => {
        if (!response.writableFinished) for (const tell of hangUps.splice(0)) tell();
      });
      void Promise.resolve(script(asked)).then((turn) => play(turn, response));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    heard,
    /** Resolves when somebody hangs up on the model before it has finished. */
    hungUp: () => new Promise<void>((resolve) => void hangUps.push(resolve)),
    env: { CHAT_BASE_URL: `http://127.0.0.1:${port}/v1`, CHAT_MODEL: 'scripted', CHAT_TIMEOUT_MS: '1500' },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const event = (choice: object): string => {
  const chunk = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'scripted' };
  return `data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, ...choice }] })}\n\n`;
};

function play(turn: Turn, response: ServerResponse): void {
  if (turn === 'hang') return;
  if ('status' in turn) {
    response.writeHead(turn.status, { 'content-type': 'application/json' });
    return void response.end(JSON.stringify({ error: turn.error ?? { message: 'scripted' } }));
  }
  response.writeHead(200, { 'content-type': ('raw' in turn && turn.type) || 'text/event-stream' });
  if ('raw' in turn) return void response.end(turn.raw);
  const text = Object.values(turn)[0] as string | string[];
  for (const content of typeof text === 'string' ? text.split(/(?<=\s)/) : text)
    response.write(event({ delta: { role: 'assistant', content } }));
  if ('stall' in turn) return;
  // What was written arrives, and then the connection ends: destroyed, it would take the words with it.
  if ('cut' in turn) return void response.socket?.end();
  if ('stops' in turn) return void response.end();
  const finish = ('finish' in turn && turn.finish) || 'stop';
  response.end(`${event({ delta: {}, finish_reason: finish })}data: [DONE]\n\n`);
}
