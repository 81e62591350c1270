import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Webhook } from 'standardwebhooks';
import { PermanentFailure } from '../../src/errors.js';
import { readArticle } from '../../src/webhooks/cms/article.js';
import { authenticName } from '../../src/webhooks/cms/hook-signature.js';
import { newSecret } from '../../src/webhooks/signature.js';

const secret = newSecret();
const body = Buffer.from('{"articleId":"a-1","action":"deleted","updatedAt":"2026-03-01T12:00:00Z"}');
const hex = (key = secret, bytes = body) => createHmac('sha256', key).update(bytes).digest('hex');

const standard = (offsetSeconds = 0, id = 'evt-1', bytes = body) => {
  const at = new Date(Date.now() + offsetSeconds * 1000);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, at, bytes.toString()),
  };
};

const name = (headers: Record<string, string>, bytes = body) =>
  authenticName(secret, Object.entries(headers).flat(), bytes);

const failure = (act: () => unknown): PermanentFailure => {
  try {
    act();
  } catch (error) {
    if (error instanceof PermanentFailure) return error;
    throw error;
  }
  throw new Error('it was accepted');
};

describe('the hex signature of a hook', () => {
  it('is HMAC-SHA256 over the raw bytes with the secret as it was shown', () => {
    expect(name({ 'X-Webhook-Signature': hex() })).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(name({ 'x-webhook-signature': `sha256=${hex()}` })).toMatch(/^sha256:/);
    expect(name({ 'x-webhook-signature': hex().toUpperCase() })).toMatch(/^sha256:/);
  });

  it('is over bytes: the same JSON written otherwise is refused', () => {
    expect(
      name({ 'x-webhook-signature': hex() }, Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 1))),
    ).toBeNull();
  });

  it.each([
    ['empty', ''],
    ['the prefix alone', 'sha256='],
    ['another scheme', `sha1=${hex()}`],
    ['cut short', hex().slice(0, -2)],
    ['too long', `${hex()}00`],
    ['one digit off', hex().replace(/^./, (digit) => (digit === '0' ? '1' : '0'))],
    ['of another secret', hex(newSecret())],
    ['no hex', 'z'.repeat(64)],
    ['huge', hex().repeat(250)],
    ['two joined by a comma', `${hex()}, ${hex()}`],
    [
      'keyed with the decoded secret',
      createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
        .update(body)
        .digest('hex'),
    ],
  ])('%s is refused', (_, signature) => {
    expect(name({ 'x-webhook-signature': signature })).toBeNull();
  });

  it('no signature at all is refused, and so is one that came twice', () => {
    expect(name({})).toBeNull();
    expect(authenticName(secret, ['X-Webhook-Signature', hex(), 'x-webhook-signature', hex()], body)).toBeNull();
  });

  it('an unsigned webhook-id does not name the message', () => {
    expect(name({ 'x-webhook-signature': hex(), 'webhook-id': 'x' })).toBe(name({ 'x-webhook-signature': hex() }));
  });
});

describe('the Standard Webhooks signature of a hook', () => {
  it.each([0, -298, 298])('is good at %i seconds', (offset) => expect(name(standard(offset))).toBe('id:evt-1'));

  it.each([-302, 302])('is refused at %i seconds', (offset) => expect(name(standard(offset))).toBeNull());

  it('one of several signatures is enough', () => {
    const headers = standard();
    const signature = `v1,AAAA v2,x v1 ${headers['webhook-signature']}`;
    expect(name({ ...headers, 'webhook-signature': signature })).toBe('id:evt-1');
  });

  const now = String(Math.floor(Date.now() / 1000));
  it.each([
    ['a time in milliseconds', { 'webhook-timestamp': `${now}000` }],
    ['a time that is none', { 'webhook-timestamp': 'NaN' }],
    ['a negative time', { 'webhook-timestamp': `-${now}` }],
    ['a time with a tail', { 'webhook-timestamp': `${now}abc` }],
    ['another id', { 'webhook-id': 'evt-2' }],
    ['no id', { 'webhook-id': '' }],
    ['an id with a space', { 'webhook-id': 'a b' }],
    ['another version', { 'webhook-signature': 'v2,AAAA' }],
    ['a version alone', { 'webhook-signature': 'v1' }],
    ['16 KB of signatures', { 'webhook-signature': 'v1,AAAA '.repeat(2000) }],
  ])('%s is refused', (_, change) => {
    expect(name({ ...standard(), ...change })).toBeNull();
  });

  it('both forms at once must both be right', () => {
    expect(name({ ...standard(), 'x-webhook-signature': hex() })).toBe('id:evt-1');
    expect(name({ ...standard(), 'x-webhook-signature': hex(newSecret()) })).toBeNull();
  });

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const)('%s sent twice is refused', (header) => {
    const headers = standard();
    expect(authenticName(secret, [...Object.entries(headers).flat(), header, headers[header]], body)).toBeNull();
  });
});

describe('reading an article event', () => {
  const whole = {
    articleId: 'a-1',
    action: 'published',
    title: 'Refunds',
    content: '# Refunds\n\nWithin 14 days.',
    url: 'https://example.com/a-1',
    updatedAt: '2026-03-01T12:00:00Z',
  };
  const read = (change: object = {}) => readArticle(Buffer.from(JSON.stringify({ ...whole, ...change })));
  it('takes what counts, with the time in UTC, and leaves the rest aside', () => {
    expect(read({ author: { name: 'x' }, updatedAt: '2026-03-01T13:00:00+01:00', articleId: 17 })).toEqual({
      externalId: '17',
      action: 'published',
      title: 'Refunds',
      content: whole.content,
      url: whole.url,
      updatedAt: '2026-03-01T12:00:00.000Z',
    });
    expect(read({ updatedAt: '2026-03-01T12:00:00' }).updatedAt).toBe('2026-03-01T12:00:00.000Z');
  });

  it('a removal needs no content, and keeps none', () => {
    expect(read({ action: 'deleted', content: undefined, title: undefined, url: null }).content).toBeNull();
    expect(read({ action: 'unpublished' }).content).toBeNull();
  });

  it.each([
    ['articleId', { articleId: '' }],
    ['articleId', { articleId: 'a\u0000' }],
    ['articleId', { articleId: '\ud800' }],
    ['articleId', { articleId: {} }],
    ['action', { action: 'removed' }],
    ['title', { title: 7 }],
    ['content', { content: undefined }],
    ['content', { content: ' \n' }],
    ['content', { action: 'updated', content: null }],
    ['url', { url: 'javascript:alert(1)' }],
    ['updatedAt', { updatedAt: undefined }],
    ['updatedAt', { updatedAt: 'yesterday' }],
    ['updatedAt', { updatedAt: '2026-W10' }],
  ])('a bad %s is named: %j', (field, change) => {
    const { code, message } = failure(() => read(change));
    expect(code).toBe('invalid_event');
    expect(message).toContain(field);
  });

  it('the message names fields and repeats no value', () => {
    expect(failure(() => read({ action: 'SECRETVALUE', articleId: '' })).message).not.toContain('SECRETVALUE');
  });

  it.each(['', 'no json', '[]', 'null', '"text"', '{"articleId":'])('%j is unreadable', (text) => {
    expect(failure(() => readArticle(Buffer.from(text))).code).toBe('unreadable_event');
  });

  it('NUL and lone surrogates are taken out of what is stored', () => {
    const { title, content } = read({ title: 'a\u0000b', content: 'x\ud800y\u0000' });
    expect([title, content]).toEqual(['ab', 'x\ufffdy']);
  });

  it('deep nesting in fields that nobody asked for is no trouble', () => {
    const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`;
    const text = JSON.stringify(whole).replace(/}$/, `,"extra":${deep},"__proto__":{"action":"deleted"}}`);
    expect(readArticle(Buffer.from(text)).action).toBe('published');
  });
});
