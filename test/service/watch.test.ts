import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Watch } from '../../src/chat/watch.js';
import { concurrent, untilBlocked } from '../faults/crossings.js';
import { gating, subjects } from './gating.js';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service);
});

const { version, told, rows, uuid } = gating(() => ({ service, library }));
const [, text, question] = subjects[0];
const harbour = { externalId: 'leave', title: 'Harbour', content: 'The tide table hangs at the harbour.' };

const answerTo = (message: string, more: object = {}) =>
  service.call('POST', '/v1/chat', { body: { knowledgeBases: [library.base], message, ...more } });
const rate = (message: string, rating: string, more: object = {}) =>
  service.call('POST', `/v1/messages/${message}/feedback`, { body: { rating, ...more } });
const watch = async () => {
  await service.part(Watch).look();
  return library.activeVersion();
};
const rule = (rollback: object) => library.call('PATCH', '', { body: { gate: { rollback } } });

async function answers(count: number, more: object = {}): Promise<string[]> {
  const given: string[] = [];
  for (let n = 0; n < count; n++) given.push((await answerTo(question, more)).body.outcome);
  return given;
}

async function dislikes(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await rate((await answerTo(question)).body.messageId, 'negative');
}

const nothing = (count: number) => Array.from({ length: count }, () => 'not_found');

describe('a version that answers worse than the one before it', () => {
  beforeEach(async () => {
    await library.publish({ externalId: 'leave', title: 'Leave', content: text });
  });

  it('is taken back when more is not found than before, and says so', async () => {
    await rule({ notFoundRise: 0.4, minAnswers: 3 });
    expect(await answers(3)).not.toContain('not_found');
    await library.publish(harbour);
    expect(await answers(2)).toEqual(nothing(2));
    expect(await watch()).toBe(2); // two answers say too little
    await answers(1);
    expect(await watch()).toBe(1);
    const why = { reason: 'not_found_rise', answers: 3, notFound: 1, before: 0 };
    expect((await version(2)).report).toMatchObject({ rolledBack: why });
    expect(await told('index.version.rolled_back')).toMatchObject([{ data: { version: 1, previous: 2, ...why } }]);
    expect(await answers(1)).not.toContain('not_found');
    expect(await watch()).toBe(1);
  });

  it('is taken back when its answers are disliked', async () => {
    await rule({ negativeRate: 0.5, minAnswers: 2 });
    await library.publish({ externalId: 'leave', title: 'Leave', content: 'Everyone has 90 days of annual leave.' });
    const [one, two] = [await answerTo(question), await answerTo(question)];
    expect((await rate(one.body.messageId, 'negative')).body).toMatchObject({ rating: 'negative' });
    expect((await rate(two.body.messageId, 'positive')).status).toBe(200);
    expect(await watch()).toBe(2);
    await rate(two.body.messageId, 'negative');
    expect(await watch()).toBe(1);
  });

  it('stays when a person brings it back, until it has been worse anew', async () => {
    await rule({ notFoundRise: 0.4, minAnswers: 3 });
    await answers(3);
    await library.publish(harbour);
    await answers(3);
    expect(await watch()).toBe(1);
    expect((await library.activate(2)).status).toBe(200);
    expect(await watch()).toBe(2);
    await answers(2);
    expect(await watch()).toBe(2);
    await answers(1);
    expect(await watch()).toBe(1);
  });

  it.each([
    ['by itself', () => watch()],
    ['by a person', async () => (await library.activate(2)).body.number],
  ])('leads %s to one that is not judged by what was thought of it before, or after', async (_whose, goBack) => {
    await library.publish({ externalId: 'leave', title: 'Leave', content: 'Everyone has 90 days of annual leave.' });
    await dislikes(2);
    await library.publish({ externalId: 'leave', title: 'Leave', content: 'Everyone has 99 days of annual leave.' });
    await dislikes(2);
    await rule({ negativeRate: 0.5, minAnswers: 2 });
    expect(await goBack()).toBe(2);
    expect(await watch()).toBe(2);
    await dislikes(2);
    expect(await watch()).toBe(2);
  });

  it('stays once the time is over for which it is watched', async () => {
    await library.publish(harbour);
    await dislikes(2);
    await rows(
      `update version set activated_at = now() - interval '2 hours' where knowledge_base_id = $1 and number = 2`,
      [uuid()],
    );
    await rule({ negativeRate: 0.5, minAnswers: 2, hours: 1 });
    expect(await watch()).toBe(2);
    await rule({ negativeRate: 0.5, minAnswers: 2, hours: 3 });
    expect(await watch()).toBe(1);
  });

  it('stays where too little is known of how much was found before', async () => {
    await rule({ notFoundRise: 0.4, minAnswers: 3 });
    await answers(2);
    await library.publish(harbour);
    expect(await answers(4)).toEqual(nothing(4));
    expect(await watch()).toBe(2);
  });

  it('is not judged by looking back at it, or by answers from several bases', async () => {
    const other = await openLibrary(service);
    await rule({ notFoundRise: 0.4, minAnswers: 3 });
    await answers(3);
    await library.publish(harbour);
    expect(await answers(3, { version: 2 })).toEqual(nothing(3));
    expect(await answers(3, { knowledgeBases: [library.base, other.base] })).toEqual(nothing(3));
    expect(await watch()).toBe(2);
    await answers(3);
    expect(await watch()).toBe(1);
  });

  it('stays where nobody has asked for that', async () => {
    await library.publish(harbour);
    await answers(3);
    expect(await watch()).toBe(2);
  });

  it('is taken back although another base cannot be looked at', async () => {
    const broken = await openLibrary(service);
    await broken.publish(harbour);
    await rows(`update knowledge_base set gate = '{"rollback":{"negativeRate":0.5,"hours":"soon"}}' where id = $1`, [
      broken.base.slice('kb_'.length),
    ]);
    library = await openLibrary(service);
    await library.publish(harbour);
    await library.publish({ ...harbour, content: 'The tide table is gone.' });
    await rule({ negativeRate: 0.5, minAnswers: 2 });
    await dislikes(2);
    expect(await watch()).toBe(1);
  });

  it.runIf(concurrent)('is looked at without a lock on its base', async () => {
    await library.publish(harbour);
    await rule({ negativeRate: 0.5, minAnswers: 2 });
    await service.database().asOwner(async (tx) => {
      await tx.run('select 1 from knowledge_base where id = $1 for update', [uuid()]);
      let ended = false;
      const looking = watch().then(() => (ended = true));
      await untilBlocked(service, looking);
      expect(ended).toBe(true);
    });
  });

  it('is rated by who asked, and by nobody else', async () => {
    const { messageId } = (await answerTo(question)).body;
    const other = await service.call('POST', '/v1/api-keys', { body: { name: 'other', scopes: ['chat'] } });
    const call = { body: { rating: 'negative' }, key: other.body.key };
    expect((await service.call('POST', `/v1/messages/${messageId}/feedback`, call)).status).toBe(404);
    expect((await rate(messageId, 'bad')).body).toMatchObject({ code: 'validation_failed' });
    expect((await rate(messageId, 'positive')).status).toBe(200);
  });

  it('keeps what is said of an answer, and tells that it was rated without the words', async () => {
    const { messageId } = (await answerTo(question)).body;
    const comment = 'The year is missing.';
    expect((await rate(messageId, 'positive')).body).toEqual({ messageId, rating: 'positive', comment: null });
    expect((await rate(messageId, 'negative', { comment })).body).toEqual({ messageId, rating: 'negative', comment });
    expect(await rows('select rating, comment from message where id = $1', [messageId.slice('msg_'.length)])).toEqual([
      { rating: 'negative', comment },
    ]);
    const events = (await service.call('GET', '/v1/events?limit=100')).body.data.filter(
      ({ type, data }: { type: string; data: object }) =>
        type === 'feedback.created' && JSON.stringify(data).includes(messageId),
    );
    const conversationId = expect.stringMatching(/^conv_/);
    const sequence = expect.any(Number);
    expect(events.map(({ data }: { data: object }) => data)).toEqual([
      { conversationId, messageId, rating: 'negative', sequence },
      { conversationId, messageId, rating: 'positive', sequence },
    ]);
  });
});
