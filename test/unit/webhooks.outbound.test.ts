import { describe, expect, it } from 'vitest';
import { Webhook } from 'standardwebhooks';
import { eventPatterns, patternsOf } from '../../src/webhooks/event-patterns.js';
import { messageBody } from '../../src/webhooks/message.js';
import { delays, readRetryAfter, waitAfter } from '../../src/webhooks/retry-schedule.js';
import { judge } from '../../src/webhooks/send.js';
import { messageId, newSecret, signedHeaders } from '../../src/webhooks/signature.js';

const answer = (status: number, headers = {}, body = '') => judge({ status, headers, body }, new Date());

const [least, most] = [() => 0, () => 0.999_999];

describe('event patterns', () => {
  it('an event is heard under its name, its families and the star', () => {
    expect(patternsOf('index.version.activated')).toEqual([
      'index.version.activated',
      'index.version.*',
      'index.*',
      '*',
    ]);
  });

  it('what may be asked for are public names, their families and the star', () => {
    expect(eventPatterns).toEqual(expect.arrayContaining(['*', 'document.*', 'document.ready', 'index.version.*']));
    for (const unknown of ['document.', 'docu*', '**', 'revision.staged', 'revision.*', 'article.changed', '']) {
      expect(eventPatterns).not.toContain(unknown);
    }
  });
});

describe('the retry schedule', () => {
  it('ten attempts are made, and no eleventh', () => {
    expect(delays).toHaveLength(10);
    expect(waitAfter(9, null)).not.toBeNull();
    expect(waitAfter(10, null)).toBeNull();
    expect(waitAfter(11, 5)).toBeNull();
  });

  it('each wait is its delay, a fifth more or less by chance', () => {
    for (let attempts = 1; attempts < delays.length; attempts++) {
      const delay = delays[attempts] ?? 0;
      expect(waitAfter(attempts, null, least)).toBeCloseTo(delay * 0.8);
      expect(waitAfter(attempts, null, most)).toBeCloseTo(delay * 1.2, 0);
    }
  });

  it.each([
    ['less than the delay', 1, 300],
    ['in between', 400, 400],
    ['more than twice the delay', 99_999, 600],
  ])('a Retry-After of %s is kept between the delay and twice it', (_, asked, wait) => {
    expect(waitAfter(2, asked)).toBe(wait);
  });

  const now = new Date('2026-03-01T12:00:00Z');
  it.each([
    ['120', 120],
    ['0', 0],
    ['Sun, 01 Mar 2026 12:01:00 GMT', 60],
    ['Sun, 01 Mar 2026 11:00:00 GMT', null],
    ['-5', null],
    ['1.5', null],
    ['soon', null],
    ['2026-03-01', null],
    ['99999999999999999999', null],
    ['', null],
    [undefined, null],
    [['5', '6'], null],
  ])('Retry-After %j is read as %j', (header, seconds) => {
    expect(readRetryAfter(header, now)).toBe(seconds);
  });
});

describe('signatures', () => {
  const id = messageId('019b0000-0000-7000-8000-000000000001');

  it('the library of the standard verifies them', () => {
    const secret = newSecret();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const headers = signedHeaders([secret], id, new Date(), '{"a":"ä"}');
    expect(new Webhook(secret).verify('{"a":"ä"}', headers)).toEqual({ a: 'ä' });
    expect(() => new Webhook(newSecret()).verify('{"a":"ä"}', headers)).toThrow('No matching signature');
    expect(() => new Webhook(secret).verify('{"a":"a"}', headers)).toThrow('No matching signature');
  });

  it('while a secret is rotated, holders of either one are satisfied', () => {
    const [fresh, old] = [newSecret(), newSecret()];
    const headers = signedHeaders([fresh, old], id, new Date(), '{}');
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(2);
    for (const secret of [fresh, old]) expect(new Webhook(secret).verify('{}', headers)).toEqual({});
  });
});

describe('the body of a delivery', () => {
  const event = {
    id: '019b0000-0000-7000-8000-000000000002',
    type: 'document.ready',
    sequence: 3,
    createdAt: new Date('2026-03-01T12:00:00Z'),
  } as const;

  it('names the event, its version, its time and its place in the sequence', () => {
    expect(JSON.parse(messageBody({ ...event, data: { documentId: 'doc_1' } }))).toEqual({
      id: 'evt_019b0000-0000-7000-8000-000000000002',
      type: 'document.ready',
      version: 1,
      timestamp: '2026-03-01T12:00:00.000Z',
      data: { documentId: 'doc_1', sequence: 3 },
    });
  });

  it('stays under 20 kB whatever the data holds, and says that something is missing', () => {
    const long = messageBody({ ...event, data: { documentId: 'doc_1', reason: 'ä'.repeat(30_000) } });
    expect(Buffer.byteLength(long)).toBeLessThan(20_000);
    expect(JSON.parse(long).data).toEqual({ documentId: 'doc_1', truncated: true, sequence: 3 });
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`${'k'.repeat(900)}${n}`, n]));
    expect(Buffer.byteLength(messageBody({ ...event, data: many }))).toBeLessThan(20_000);
  });
});

describe('judging an answer', () => {
  it.each([200, 201, 204, 299])('%i means that it arrived', (status) => expect(answer(status).error).toBeNull());

  it.each([101, 301, 302, 307, 400, 404, 410, 429, 500])('%i is a failure', (status) =>
    expect(answer(status).error).toBe(`status_${status}`),
  );

  it('keeps at most 4 KiB of the response, storable', () => {
    const kept = answer(500, {}, `\u0000${'\ufffd'.repeat(4096)}`).response ?? '';
    expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(4096);
    expect(kept).not.toContain('\u0000');
  });
});
