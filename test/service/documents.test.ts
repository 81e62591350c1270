import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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

const days = (number: number) => `# Leave\n\nEvery employee has ${number} days of annual leave.`;

const section = (name: string, rule: string) => `## ${name}\n\n${rule}`;
const handbook = (rule: string) =>
  [
    '# Handbook',
    section('Leave', rule),
    section('Travel', 'Trains come before planes.'),
    section('Bikes', 'Bikes are leased for three years.'),
  ].join('\n\n');
const ids = (listed: { data: { externalId: string }[] }) => listed.data.map(({ externalId }) => externalId);

describe('an upload', () => {
  it('answers 202 for new bytes, and 200 unchanged for the same ones, queued or ready', async () => {
    const document = { externalId: 'leave', content: days(27) };
    const first = await library.upload(document);
    expect(first).toMatchObject({ status: 202, body: { status: 'queued', unchanged: false, revision: { number: 1 } } });
    expect(await library.upload(document)).toMatchObject({ status: 200, body: { unchanged: true, id: first.body.id } });
    await service.settle();
    expect(await library.upload(document)).toMatchObject({
      status: 200,
      body: { unchanged: true, status: 'ready', revision: { number: 1 } },
    });
  });

  it.each([{ fieldsLast: false }, { fieldsLast: true }])(
    'takes multipart fields on either side of the file: %o',
    async ({ fieldsLast }) => {
      const fields = {
        externalId: 'leave',
        title: 'Leave rules',
        sourceUrl: 'https://example.com/leave',
        sourceUpdatedAt: '2026-01-02T03:04:05Z',
        metadata: '{"product":"x200"}',
        access: '{"visibility":"restricted","allow":["group:hr"]}',
      };
      const sent = await library.uploadFile({
        bytes: days(27),
        name: 'leave.md',
        type: 'text/markdown',
        fields,
        fieldsLast,
      });
      const expected = {
        externalId: 'leave',
        title: 'Leave rules',
        sourceUrl: 'https://example.com/leave',
        sourceUpdatedAt: '2026-01-02T03:04:05.000Z',
        metadata: { product: 'x200' },
        access: { visibility: 'restricted', allow: ['group:hr'], deny: [] },
      };
      expect(sent).toMatchObject({ status: 202, body: expected });
      await service.settle();
      expect(await library.get(sent.body.id)).toMatchObject({
        ...expected,
        status: 'ready',
        contentType: 'text/markdown',
      });
    },
  );

  it('names what is wrong with a multipart request, and keeps nothing of it', async () => {
    const file = { bytes: days(27), name: 'leave.md' };
    expect(await library.uploadFile({ ...file, fields: { metadata: '{"product":' } })).toMatchObject({
      status: 400,
      body: { code: 'validation_failed', errors: [{ field: 'metadata' }] },
    });
    expect(await library.uploadFile({ ...file, fields: { colour: 'red' } })).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'colour' }] },
    });
    expect(await library.call('POST', '/documents', { form: new FormData() })).toMatchObject({ status: 400 });
    expect((await library.list()).data).toEqual([]);
  });

  it('applies changed details of the same bytes at once, with nothing embedded', async () => {
    const before = await library.publish({ externalId: 'leave', content: days(27), title: 'Leave' });
    const changed = await library.upload({
      externalId: 'leave',
      content: days(27),
      title: 'Holidays',
      metadata: { year: 2026 },
      access: { visibility: 'restricted', allow: ['group:hr'] },
    });
    expect(changed).toMatchObject({
      status: 200,
      body: { unchanged: false, title: 'Holidays', metadata: { year: 2026 } },
    });
    expect(changed.body).toMatchObject({
      revision: before.revision,
      receipt: before.receipt,
      access: { visibility: 'restricted', allow: ['group:hr'] },
    });
    expect(await library.finds('annual leave', { filter: { field: 'metadata.year', eq: 2026 } })).toEqual(['leave']);
    expect(await library.activeVersion()).toBe(1);
  });

  it('keeps external ids unique: the same id again is the same document, in another base another one', async () => {
    const first = await library.publish({ externalId: 'leave', content: days(27) });
    const second = await library.publish({ externalId: 'leave', content: days(28) });
    expect(second).toMatchObject({ id: first.id, revision: { number: 2 } });
    expect((await library.list()).data).toHaveLength(1);
    const elsewhere = await (await openLibrary(service)).publish({ externalId: 'leave', content: days(27) });
    expect(elsewhere.id).not.toBe(first.id);
  });

  it('makes two documents of one when no external id says that they are the same', async () => {
    await library.upload({ content: days(27), title: 'a' });
    await library.upload({ content: days(27), title: 'b' });
    await service.settle();
    expect((await library.list()).data.map((document: { status: string }) => document.status)).toEqual([
      'ready',
      'ready',
    ]);
  });

  it('queues one revision when the same new id is sent many times at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => library.upload({ externalId: 'leave', content: days(27) })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 200, 200, 202]);
    expect(new Set(answers.map(({ body }) => body.revision.id)).size).toBe(1);
  });
});

describe('a new revision', () => {
  it('answers only once it is ready; until then the one before does', async () => {
    const { id } = await library.publish({ externalId: 'leave', content: days(27) });
    const sent = await library.upload({ externalId: 'leave', content: days(30) });
    expect(sent).toMatchObject({
      status: 202,
      body: { status: 'queued', revision: { number: 2 }, activeRevision: { number: 1 } },
    });
    expect(await library.says('annual leave')).toContain('27 days');
    await service.settle();
    expect(await library.get(id)).toMatchObject({
      status: 'ready',
      revision: { number: 2 },
      activeRevision: { number: 2 },
    });
    const says = await library.says('annual leave');
    expect(says).toContain('30 days');
    expect(says).not.toContain('27 days');
  });

  it('leaves the one before answering when it fails, and can be followed by a good one', async () => {
    const { id } = await library.publish({ externalId: 'leave', content: days(27) });
    await library.uploadFile({
      bytes: '%PDF-1.7 nothing of the kind',
      name: 'leave.pdf',
      fields: { externalId: 'leave' },
    });
    await service.settle();
    expect(await library.get(id)).toMatchObject({
      status: 'failed',
      revision: { number: 2 },
      activeRevision: { number: 1 },
      error: { retryable: false },
    });
    expect(await library.says('annual leave')).toContain('27 days');
    expect((await library.call('GET', `/documents/${id}/content`)).body.text).toContain('27 days');
    await library.publish({ externalId: 'leave', content: days(31) });
    expect(await library.says('annual leave')).toContain('31 days');
  });

  it('embeds only the paragraphs that changed, and its receipt says so', async () => {
    const first = await library.publish({ externalId: 'handbook', content: handbook('There are 27 days.') });
    expect(first.receipt.chunks).toMatchObject({ total: 3, embedded: 3, reused: 0, removed: 0 });
    const second = await library.publish({ externalId: 'handbook', content: handbook('There are 30 days.') });
    expect(second.receipt.chunks).toEqual({ total: 3, embedded: 1, reused: 2, removed: 1 });
    const version = (await library.call('GET', '/versions/2')).body;
    expect(version).toMatchObject({
      receipt: { chunks: { reused: 2, embedded: 1 } },
      stats: { documents: 1, chunks: 3 },
    });
  });
});

describe('a document', () => {
  it('is listed newest first, by pages, by external id and by status', async () => {
    for (const name of ['a', 'b', 'c']) await library.upload({ externalId: name, content: `${name} text` });
    await library.uploadFile({ bytes: '', name: 'empty.txt', fields: { externalId: 'd' } });
    await service.settle();
    const first = await library.list('?limit=2');
    expect(ids(first)).toEqual(['d', 'c']);
    const second = await library.list(`?limit=2&cursor=${first.nextCursor}`);
    expect(ids(second)).toEqual(['b', 'a']);
    expect(second.nextCursor).toBeNull();
    expect(ids(await library.list('?externalId=b'))).toEqual(['b']);
    expect(ids(await library.list('?status=failed'))).toEqual(['d']);
    expect(ids(await library.list('?status=ready'))).toEqual(['c', 'b', 'a']);
    expect(await library.call('GET', '/documents?cursor=nonsense')).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'cursor' }] },
    });
  });

  it('is found by its new title at once', async () => {
    const { id } = await library.publish({ externalId: 'leave', content: days(27), title: 'Leave' });
    expect(await library.finds('sabbatical', { mode: 'keyword' })).toEqual([]);
    expect(await library.call('PATCH', `/documents/${id}`, { body: { title: 'Sabbatical' } })).toMatchObject({
      status: 200,
      body: { title: 'Sabbatical' },
    });
    expect(await library.finds('sabbatical', { mode: 'keyword' })).toEqual(['leave']);
  });

  it('takes the title found in its text only where nobody gave one', async () => {
    expect(await library.publish({ externalId: 'found', content: days(27) })).toMatchObject({ title: 'Leave' });
    expect(await library.publish({ externalId: 'given', content: days(27), title: 'Mine' })).toMatchObject({
      title: 'Mine',
    });
  });

  it('gives its bytes back as a download, never as a page', async () => {
    const page = '<!doctype html><script>alert(1)</script><p>Hello there.</p>';
    const { body } = await library.uploadFile({ bytes: page, name: 'päge.html', type: 'text/html' });
    await service.settle();
    const original = await library.call('GET', `/documents/${body.id}/content?format=original`);
    expect(original).toMatchObject({ status: 200, text: page });
    expect(original.headers.get('content-disposition')).toBe("attachment; filename*=UTF-8''p%C3%A4ge.html");
    expect(original.headers.get('content-type')).toBe('application/octet-stream');
    expect(original.headers.get('content-security-policy')).toContain('sandbox');
  });

  it('lists the chunks that answer, each found at its offsets in the stored text', async () => {
    const { id } = await library.publish({
      externalId: 'long',
      content: Array.from({ length: 6 }, (_, n) => `## Part ${n}\n\nText of part ${n}.`).join('\n\n'),
    });
    const { text } = (await library.call('GET', `/documents/${id}/content`)).body;
    const first = (await library.call('GET', `/documents/${id}/chunks?limit=4`)).body;
    const second = (await library.call('GET', `/documents/${id}/chunks?limit=4&cursor=${first.nextCursor}`)).body;
    const chunks = [...first.data, ...second.data];
    expect(chunks.map(({ ordinal }) => ordinal)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(chunks.map(({ start, end }) => text.slice(start, end))).toEqual(chunks.map((chunk) => chunk.text));
  });
});
