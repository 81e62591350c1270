import PdfKit from 'pdfkit';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Service, joinService } from './harness.js';
import { type FileUpload, type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service);
});

async function encryptedPdf(): Promise<FileUpload['bytes']> {
  const document = new PdfKit({ userPassword: 'secret', ownerPassword: 'owner' });
  const bytes = buffer(document as unknown as Readable);
  document.text('Nobody may read this.').end();
  return bytes;
}

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** Each with the code it ends with. */
const bad: [string, string, () => Promise<FileUpload>][] = [
  [
    'an unreadable PDF',
    'unreadable_document',
    async () => ({ bytes: '%PDF-1.7\n1 0 obj nothing of the kind', name: 'broken.pdf', type: 'application/pdf' }),
  ],
  [
    'an encrypted PDF',
    'encrypted_document',
    async () => ({ bytes: await encryptedPdf(), name: 'locked.pdf', type: 'application/pdf' }),
  ],
  ['an empty file', 'empty_file', async () => ({ bytes: '', name: 'empty.pdf', type: 'application/pdf' })],
  [
    'a picture that calls itself a PDF',
    'type_mismatch',
    async () => ({ bytes: png, name: 'scan.pdf', type: 'application/pdf' }),
  ],
  ['a text of blanks', 'empty_document', async () => ({ bytes: ' \n\n\t ', name: 'blank.txt', type: 'text/plain' })],
];

describe('a file that cannot be read', () => {
  it.each(bad)('%s ends failed with %s and a sentence', async (_name, code, make) => {
    const { status, body } = await library.uploadFile(await make());
    expect(status).toBe(202);
    await service.settle();
    const document = await library.get(body.id);
    expect(document).toMatchObject({
      status: 'failed',
      error: { code, retryable: false },
      activeRevision: null,
      readyAt: null,
    });
    expect(document.error.message).toMatch(/^[A-Z].{20,}\.$/);
    const events = (await service.call('GET', '/v1/events?limit=1')).body.data;
    expect(events[0]).toMatchObject({ type: 'document.failed', data: { documentId: body.id, code, retryable: false } });
    expect((await library.call('GET', `/documents/${body.id}/content`)).status).toBe(409);
  });

  it('disturbs neither what is served nor what was uploaded beside it', async () => {
    const served = await library.publish({
      externalId: 'served',
      content: 'Every employee has 27 days of annual leave.',
    });
    for (const [name, , make] of bad) {
      const file = await make();
      await library.uploadFile({ ...file, fields: { externalId: name } });
      await library.uploadFile({ ...file, fields: { externalId: 'served' } });
    }
    await library.upload({ externalId: 'beside', content: 'Trains come before planes.' });
    await service.settle();
    expect((await library.list('?status=failed')).data).toHaveLength(bad.length + 1);
    expect(await library.get(served.id)).toMatchObject({ status: 'failed', activeRevision: { number: 1 } });
    expect((await library.finds('annual leave trains planes')).sort()).toEqual(['beside', 'served']);
    const { id } = (await library.list('?externalId=beside')).data[0];
    expect(await library.get(id)).toMatchObject({ status: 'ready', error: null });
  });

  it('leaves what is said of the served document as it was; a good one brings its details when it answers', async () => {
    const details = { title: 'Leave', metadata: { year: 2025 }, sourceUpdatedAt: '2025-01-01T00:00:00.000Z' };
    const newer = { title: 'New leave', metadata: { year: 2026 }, sourceUpdatedAt: '2026-01-01T00:00:00.000Z' };
    const served = await library.publish({ externalId: 'kept', content: 'There are 27 days of leave.', ...details });
    const fields = { ...newer, metadata: JSON.stringify(newer.metadata), externalId: 'kept' };
    await library.uploadFile({ bytes: '', name: 'empty.txt', fields });
    await service.settle();
    expect(await library.get(served.id)).toMatchObject({ status: 'failed', ...details });
    await library.upload({ externalId: 'kept', content: 'There are 30 days of leave.', ...newer });
    expect(await library.get(served.id)).toMatchObject({ status: 'queued', ...details });
    await service.settle();
    expect(await library.get(served.id)).toMatchObject({ status: 'ready', ...newer });
  });

  it('may bring a time in any form that is one, and never stands in the way of its base', async () => {
    const served = await library.publish({ externalId: 'timed', content: 'There are 27 days of leave.' });
    const sourceUpdatedAt = '2026-03-01T10:30:00+16:00';
    await library.upload({ externalId: 'timed', content: 'There are 30 days of leave.', sourceUpdatedAt });
    await service.settle();
    const shown = { status: 'ready', sourceUpdatedAt: '2026-02-28T18:30:00.000Z', revision: { number: 2 } };
    expect(await library.get(served.id)).toMatchObject(shown);
  });

  it('does not outlive a change that was made while it was on its way', async () => {
    const served = await library.publish({
      externalId: 'patched',
      content: 'There are 27 days of leave.',
      title: 'First',
    });
    await library.upload({ externalId: 'patched', content: 'There are 30 days of leave.', title: 'Second' });
    await library.call('PATCH', `/documents/${served.id}`, { body: { title: 'Third' } });
    await service.settle();
    expect(await library.get(served.id)).toMatchObject({ status: 'ready', title: 'Third', revision: { number: 2 } });
  });

  it('is tried again when somebody asks for it, and only then', async () => {
    const { body } = await library.uploadFile({ bytes: '', name: 'empty.txt' });
    await service.settle();
    const retried = await library.call('POST', `/documents/${body.id}/retry`);
    expect(retried).toMatchObject({ status: 202, body: { status: 'queued', error: null } });
    await service.settle();
    expect(await library.get(body.id)).toMatchObject({
      status: 'failed',
      error: { code: 'empty_file' },
      revision: { number: 1 },
    });
    const good = await library.publish({ content: 'Trains come before planes.' });
    expect(await library.call('POST', `/documents/${good.id}/retry`)).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    });
  });
});
