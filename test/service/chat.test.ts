import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Heard, startChatModel, type Turn } from './chat-model.js';
import { type Service, startService } from './harness.js';

const question = 'How many days of annual leave do I get?';

let service: Service;
let model: Awaited<ReturnType<typeof startChatModel>>;
let turn: (heard: Heard) => Turn;
let base: string;

async function add(title: string, content: string, access?: object): Promise<void> {
  const body = { title, content, contentType: 'text/markdown', externalId: title, ...(access ? { access } : {}) };
  await service.call('POST', `/v1/knowledge-bases/${base}/documents`, { body });
}

async function token(groups: string[]): Promise<string> {
  const body = { subject: 'ada', groups, scopes: ['search', 'chat'] };
  return (await service.call('POST', '/v1/tokens', { body })).body.token;
}

const ask = (message: string, more: object = {}, key?: string) =>
  service.call('POST', '/v1/chat', { body: { knowledgeBases: [base], message, ...more }, ...(key ? { key } : {}) });

beforeAll(async () => {
  model = await startChatModel((heard) => turn(heard));
  service = await startService({ env: model.env });
  base = (await service.call('POST', '/v1/knowledge-bases', { body: { name: 'chat' } })).body.id;
  await add(
    'Leave',
    '# Leave\n\n## Annual leave\n\nEvery employee gets 27 days of annual leave. Leave is booked in the portal.',
  );
  await add('Bonus', '# Bonus\n\nThe secret bonus is 4,000 euros in March.', {
    visibility: 'restricted',
    allow: ['group:hr'],
  });
  await service.settle();
});
afterAll(async () => {
  await service.stop();
  model.stop();
});
beforeEach(() => {
  turn = () => ({ say: 'You get 27 days of annual leave [1].' });
});

/** The events of a stream, in order. */
async function stream(message: string) {
  const answer = await service.call('POST', '/v1/chat', {
    body: { knowledgeBases: [base], message },
    headers: { accept: 'text/event-stream' },
  });
  const events = answer.text
    .trim()
    .split('\n\n')
    .map((block) => {
      const [event = '', data = ''] = block.split('\n');
      return { event: event.replace('event: ', ''), data: JSON.parse(data.replace('data: ', '')) };
    });
  return { type: answer.headers.get('content-type'), events };
}

describe('a generated answer', () => {
  it('cites a passage that was handed out, with a quote that stands at its offsets', async () => {
    const { status, body } = await ask(question);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      mode: 'generated',
      outcome: 'answered',
      answer: 'You get 27 days of annual leave [1].',
      degraded: [],
    });
    expect(body.citations).toHaveLength(1);
    const [citation] = body.citations;
    const path = `/v1/knowledge-bases/${base}/documents/${citation.documentId}/content?revision=${citation.revision}`;
    const content = await service.call('GET', path);
    expect(content.body.text.slice(citation.start, citation.end)).toBe(citation.quote);
    expect(citation.quote).toBe('Every employee gets 27 days of annual leave.');
  });

  it('loses a marker that was never handed out', async () => {
    turn = () => ({ say: 'You get 27 days [1]. Also a yacht [99].' });
    const { body } = await ask(question);
    expect(body.answer).toBe('You get 27 days [1]. Also a yacht.');
    expect(body.citations.map((citation: { marker: number }) => citation.marker)).toEqual([1]);
  });

  it('is not given without a citation: the extractive answer stands in, and says so', async () => {
    turn = () => ({ say: 'Surely about forty days.' });
    const { body } = await ask(question);
    expect(body).toMatchObject({ mode: 'extractive', degraded: ['chat'] });
    expect(body.answer).toContain('27 days');
  });

  it('says not found when the model finds nothing in the passages', async () => {
    turn = () => ({ say: 'NOT_FOUND' });
    const { body } = await ask(question);
    expect(body).toMatchObject({
      outcome: 'not_found',
      confidence: 'low',
      citations: [],
      escalation: { suggested: true, reason: 'no_evidence' },
    });
  });

  it('gets the passages as data, apart from the instructions, and only those the caller may see', async () => {
    await ask('What is the secret bonus in March?', { instructions: 'Be formal.' }, await token([]));
    const [system, human] = model.heard.at(-1)?.messages ?? [];
    expect(system?.content).toContain('Be formal.');
    expect(system?.content).not.toContain('27 days');
    expect(human?.content).not.toContain('4,000');
    await ask('What is the secret bonus in March?', {}, await token(['hr']));
    expect(model.heard.at(-1)?.messages.at(-1)?.content).toContain('4,000');
  });
});

describe('when the chat model is not to be had', () => {
  it.each<[string, Turn]>([
    ['fails', { status: 500 }],
    ['refuses for its rate limit', { status: 429 }],
    ['hangs beyond its time', 'hang'],
    ['breaks off in the middle', { cut: 'You get 27 days [1]. And ' }],
    ['says nothing', { say: '' }],
  ])('an extractive, cited answer is given: the model %s', async (_how, scripted) => {
    turn = () => scripted;
    const { status, body } = await ask(question);
    expect(status).toBe(200);
    expect(body).toMatchObject({ mode: 'extractive', outcome: 'answered', degraded: ['chat'] });
    expect(body.answer).toBe('Every employee gets 27 days of annual leave. [1]');
    expect(body.citations[0].quote).toBe('Every employee gets 27 days of annual leave.');
  });

  it('a question about something else is not found rather than invented', async () => {
    turn = () => ({ status: 500 });
    const { body } = await ask('Which helicopters fly to Mars?');
    expect(body).toMatchObject({ outcome: 'not_found', citations: [] });
  });
});

describe('a stream', () => {
  it('begins with the message, tells passages, text and citations, and ends once', async () => {
    const { type, events } = await stream(question);
    expect(type).toContain('text/event-stream');
    const names = events.map(({ event }) => event);
    expect(names.slice(0, 2)).toEqual(['message.start', 'passages']);
    expect(names.slice(-2)).toEqual(['citation', 'message.done']);
    expect(names.filter((name) => name === 'message.done' || name === 'error')).toHaveLength(1);
    const told = events
      .filter(({ event }) => event === 'answer.delta')
      .map(({ data }) => data.text)
      .join('');
    expect(told).toBe(events.at(-1)?.data.answer);
  });

  it('never shows text that turns out to cite nothing', async () => {
    turn = () => ({ say: 'Surely about forty days.' });
    const { events } = await stream(question);
    expect(JSON.stringify(events)).not.toContain('forty');
    expect(events.at(-1)).toMatchObject({ event: 'message.done', data: { mode: 'extractive' } });
  });

  it('says that what it showed is void when the model goes silent, and ends with message.done', async () => {
    turn = () => ({ stall: 'You get 27 days [1]. And more of ' });
    const { events } = await stream(question);
    const done = events.at(-1);
    expect(done).toMatchObject({ event: 'message.done', data: { mode: 'extractive', degraded: ['chat'] } });
    const last = events.findLast(({ event }) => event === 'answer.delta');
    expect(last?.data).toEqual({ text: done?.data.answer, reset: true });
  });

  it('is refused with problem+json before it begins', async () => {
    const answer = await service.call('POST', '/v1/chat', {
      body: { knowledgeBases: ['kb_00000000-0000-0000-0000-000000000000'], message: question },
      headers: { accept: 'text/event-stream' },
    });
    expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });
});

describe('a conversation', () => {
  it('hands earlier questions and answers to the model', async () => {
    const first = await ask(question);
    await ask('And how is it booked?', { conversationId: first.body.conversationId });
    const said = model.heard.at(-1)?.messages.at(-1)?.content ?? '';
    expect(said).toContain(`user: ${question}`);
    expect(said).toContain('assistant: You get 27 days of annual leave [1].');
  });

  it('belongs to the caller who began it', async () => {
    const first = await ask(question);
    const other = await ask('And then?', { conversationId: first.body.conversationId }, await token(['hr']));
    expect(other.status).toBe(404);
  });

  it('forgets an answer whose documents the caller may no longer see', async () => {
    turn = () => ({ say: 'The secret bonus is 4,000 euros [1].' });
    const first = await ask('What is the secret bonus in March?', {}, await token(['hr']));
    expect(first.body.answer).toContain('4,000');
    await ask('Tell me more', { conversationId: first.body.conversationId }, await token([]));
    expect(model.heard.at(-1)?.messages.at(-1)?.content).not.toContain('4,000');
  });

  it('records what happened, in thin events', async () => {
    const first = await ask(question);
    const events = (await service.call('GET', '/v1/events')).body.data.filter(
      (event: { data: { conversationId?: string } }) => event.data.conversationId === first.body.conversationId,
    );
    expect(events.map((event: { type: string }) => event.type).toSorted()).toEqual([
      'conversation.started',
      'message.received',
      'message.sent',
    ]);
    expect(JSON.stringify(events)).not.toContain('leave');
  });
});
