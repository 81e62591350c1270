import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Heard, startChatModel, type Turn } from '../service/chat-model.js';
import { type Service, startService } from '../service/harness.js';
import { openLibrary } from '../service/library.js';

const question = 'How many days of annual leave do I get?';
const quoted = 'Every employee gets 27 days of annual leave. [1]';

let service: Service;
let model: Awaited<ReturnType<typeof startChatModel>>;
let turn: (heard: Heard) => Turn;
let base: string;

beforeAll(async () => {
  model = await startChatModel((heard) => turn(heard));
  service = await startService({ env: { ...model.env, CHAT_TIMEOUT_MS: '4000', CHAT_SILENCE_TIMEOUT_MS: '700' } });
  const library = await openLibrary(service);
  base = library.base;
  await library.publish({ title: 'Leave', content: '# Leave\n\nEvery employee gets 27 days of annual leave.' });
  await library.publish({
    title: 'Booking',
    content: '# Booking\n\nAnnual leave is booked in the portal, days ahead.',
  });
});
afterAll(async () => {
  await service.stop();
  model.stop();
});
beforeEach(async () => {
  // Enough good calls that what the test before did to the breaker does not open it in this one.
  turn = () => ({ say: 'You get 27 days [1].' });
  await Promise.all([ask(), ask(), ask()]);
  model.heard.length = 0;
});

const wish = () => ({ knowledgeBases: [base], message: question });
const ask = () => service.call('POST', '/v1/chat', { body: wish() });

/** The events of a streamed answer, in order. */
async function stream() {
  const { text } = await service.call('POST', '/v1/chat', { body: wish(), headers: { accept: 'text/event-stream' } });
  return text
    .trim()
    .split('\n\n')
    .map((block) => {
      const [event = '', data = ''] = block.split('\n');
      return { event: event.replace('event: ', ''), data: JSON.parse(data.replace('data: ', '')) };
    });
}

/** A request that its caller may leave, begun; resolves to its body once the answer has begun. */
function begin(leave: AbortController, accept: string) {
  return fetch(new URL('/v1/chat', service.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${service.key}`, 'content-type': 'application/json', accept },
    body: JSON.stringify(wish()),
    signal: leave.signal,
  });
}

/** How many passages a request handed out. */
const handed = ({ messages }: Heard): number => (messages.at(-1)?.content.match(/"marker":/g) ?? []).length;

const sse = (data: string): string => `data: ${data}\n\n`;

/** What the model does, and how often it is asked: once more only if nothing was said and no time was lost. */
const faults: [string, Turn, number][] = [
  ['429', { status: 429 }, 2],
  ['500', { status: 500 }, 2],
  ['401', { status: 401 }, 1],
  ['a hang before the first word', 'hang', 1],
  ['a hang in the middle', { stall: 'You get 27 days [1]. And ' }, 1],
  ['a connection lost in the middle', { cut: 'You get 27 days [1]. And ' }, 1],
  ['an end in the middle that looks like one', { stops: 'You get 27 days [1]. And ' }, 1],
  ['an event that is not JSON', { raw: sse('{"choices":[{"delta"') }, 2],
  ['an error as an event', { raw: sse('{"error":{"message":"overloaded"}}') }, 2],
  ['a web page', { raw: '<html>Sign in</html>', type: 'text/html' }, 2],
  ['another JSON', { raw: '{"result":"busy"}', type: 'application/json' }, 2],
  ['an empty answer', { say: '' }, 1],
  ['an answer that its content filter held back', { say: 'You get 27 days [1].', finish: 'content_filter' }, 1],
  ['an answer that refuses', { say: 'I cannot help with that.' }, 1],
];

describe('a chat model that fails', () => {
  it.each(faults)(
    '142: %s ends a stream once, with an extractive answer and all passages',
    async (_name, fault, calls) => {
      turn = () => fault;
      const events = await stream();
      const names = events.map(({ event }) => event);
      expect(names.filter((name) => ['message.done', 'error'].includes(name))).toEqual(['message.done']);
      expect(names.at(-1)).toBe('message.done');
      expect(names.slice(0, 2)).toEqual(['message.start', 'passages']);
      expect(events[1]?.data.passages).toHaveLength(2);
      const done = events.at(-1)?.data;
      expect(done).toMatchObject({ mode: 'extractive', degraded: ['chat'], outcome: 'answered' });
      expect(done.answer).toContain(quoted);
      // What a client shows after following the deltas is the answer, and nothing of the one that broke off.
      const shown = events
        .filter(({ event }) => event === 'answer.delta')
        .reduce((text, { data }) => (data.reset ? data.text : text + data.text), '');
      expect(shown).toBe(done.answer);
      expect(model.heard).toHaveLength(calls);
    },
  );

  it('142: a fault that passes at once is not seen: the second try answers', async () => {
    const turns: Turn[] = [{ status: 503 }, { say: 'You get 27 days [1].' }];
    turn = () => turns.shift() ?? 'hang';
    expect((await ask()).body).toMatchObject({ mode: 'generated', answer: 'You get 27 days [1].', degraded: [] });
  });

  it('142: a prompt that is too long is asked again once, with half of the passages', async () => {
    const tooLong: Turn = { status: 400, error: { message: 'too long', code: 'context_length_exceeded' } };
    turn = (heard) => (handed(heard) > 1 ? tooLong : { say: 'You get 27 days [1]. And a yacht [2].' });
    const { body } = await ask();
    expect(model.heard.map(handed)).toEqual([2, 1]);
    // The second passage was not handed out, so it cannot be cited.
    expect(body).toMatchObject({ mode: 'generated', answer: 'You get 27 days [1]. And a yacht.' });
    turn = () => tooLong;
    model.heard.length = 0;
    expect((await ask()).body).toMatchObject({ mode: 'extractive', degraded: ['chat'] });
    expect(model.heard).toHaveLength(2);
  });
});

describe('a caller who leaves', () => {
  it('142: in the middle of a stream ends the call to the model', async () => {
    turn = () => ({ stall: 'You get 27 days [1]. And ' });
    const hungUp = model.hungUp();
    const leave = new AbortController();
    const { body } = await begin(leave, 'text/event-stream');
    const events = body?.getReader();
    for (let told = ''; !told.includes('answer.delta');) {
      const part = await events?.read();
      if (!part || part.done) throw new Error('the stream ended before an answer began');
      told += Buffer.from(part.value).toString();
    }
    leave.abort();
    await hungUp;
    expect(model.heard).toHaveLength(1);
  });

  it('142: before a JSON answer ends the call to the model', async () => {
    const hungUp = model.hungUp();
    const leave = new AbortController();
    turn = () => {
      leave.abort();
      return 'hang';
    };
    await expect(begin(leave, 'application/json')).rejects.toThrow('aborted');
    await hungUp;
    expect(model.heard).toHaveLength(1);
  });
});

describe('a chat model that says what cannot be stored', () => {
  it('139: is quoted without NUL and half characters, and whole ones that came in halves stay whole', async () => {
    turn = () => ({ pieces: ['You\u0000 get 27 ', '\ud83c', '\udf34 days \ud800of', ' leave [1]', '.'] });
    const answer = 'You get 27 🌴 days \ufffdof leave [1].';
    const events = await stream();
    expect(events.at(-1)).toMatchObject({ event: 'message.done', data: { mode: 'generated', answer } });
    const told = events.flatMap(({ event, data }) => (event === 'answer.delta' ? [data.text] : [])).join('');
    expect(told).toBe(answer);
  });
});

describe('a chat model that is down', () => {
  it('142: is left alone once half of the last 20 calls failed: answers are extractive at once', async () => {
    turn = () => ({ status: 500 });
    for (let call = 0; call < 20; call++) await ask();
    model.heard.length = 0;
    expect((await ask()).body).toMatchObject({ mode: 'extractive', degraded: ['chat'] });
    expect(model.heard).toEqual([]);
    const ready = await service.call('GET', '/health/ready');
    expect(ready).toMatchObject({ status: 200, body: { checks: { chat: { status: 'open' } } } });
  });
});
