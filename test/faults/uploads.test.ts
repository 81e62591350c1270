import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import PdfKit from 'pdfkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BlobStore } from '../../src/platform/blobs.js';
import { makeBase, makeTenant } from '../service/callers.js';
import { byMeaning, startEmbeddingServer } from '../service/embedding-server.js';
import { heldByBuffers } from '../held-memory.js';
import { type Service, startService } from '../service/harness.js';
import { type Library, openLibrary } from '../service/library.js';
import { answerOn, dial, end, filePart, head, part, sendRaw } from './raw-upload.js';

let service: Service;
let library: Library;
let model: Awaited<ReturnType<typeof startEmbeddingServer>>;

beforeAll(async () => {
  model = await startEmbeddingServer(byMeaning);
  service = await startService({ env: model.env });
  await mkdir(join(service.dataDir, 'blobs', 'incoming'), { recursive: true });
});
afterAll(async () => {
  await service.stop();
  await model.stop();
});
beforeEach(async () => {
  library = await openLibrary(service);
});

const incoming = () => readdir(join(service.dataDir, 'blobs', 'incoming'));
const documents = async () => (await library.list('?limit=100')).data;
const blobs = () => service.part(BlobStore).list(null, 1000);
const sample = (name: string) => readFile(new URL(`../../samples/${name}`, import.meta.url));

/** Uploads a file and lets it be read. @returns the document as it then stands */
async function afterReading(bytes: Buffer, name: string, type = 'application/octet-stream') {
  const { status, body } = await library.uploadFile({ bytes: new Uint8Array(bytes), name, type });
  expect(status).toBe(202);
  await service.settle();
  return library.get(body.id);
}

async function pdf(words: string, options = {}): Promise<Buffer> {
  const document = new PdfKit(options);
  const bytes = buffer(document as unknown as Readable);
  document.text(words).end();
  return bytes;
}

describe('an upload that is not well formed', () => {
  it.each([
    ['has no boundary', { 'content-type': 'multipart/form-data' }, Buffer.concat([filePart('x'), end])],
    ['has a field without a name', {}, Buffer.concat([part('name=""', 'x'), filePart('x'), end])],
    ['has a field 10,000 levels deep', {}, Buffer.concat([part(`name="a${'[b]'.repeat(10_000)}"`, 'x'), end])],
    ['has a field at index 4294967295', {}, Buffer.concat([part('name="a[4294967295]"', 'x'), filePart('x'), end])],
    ['has a field named __proto__', {}, Buffer.concat([part('name="__proto__"', 'x'), filePart('x'), end])],
    ['has no end', { 'content-length': filePart('x').length }, filePart('x')],
    ['is empty', {}, Buffer.alloc(0)],
    ['holds no file', {}, end],
  ])('5: that %s is a 400', async (_, headers, body) => {
    expect((await sendRaw(service, library.base, body, headers)).status).toBe(400);
    expect(await documents()).toEqual([]);
    expect(await incoming()).toEqual([]);
    expect((await service.call('GET', '/health/live')).status).toBe(200);
  });

  // The body ends while its file is being made: one in ten left an empty one behind.
  it('5: that has no end leaves no file, however often it is sent', async () => {
    for (let n = 0; n < 50; n++) expect((await sendRaw(service, library.base, filePart('x'))).status).toBe(400);
    expect(await incoming()).toEqual([]);
  });

  it('6: of two files is a 400, and neither is kept', async () => {
    const before = (await blobs()).length;
    const two = Buffer.concat([filePart('one'), filePart('two'), end]);
    expect((await sendRaw(service, library.base, two)).status).toBe(400);
    expect([await documents(), await incoming(), (await blobs()).length]).toEqual([[], [], before]);
  });

  it('with bad fields leaves its file nowhere', async () => {
    const before = (await blobs()).length;
    const body = Buffer.concat([filePart(randomBytes(100_000)), part('name="metadata"', 'no JSON'), end]);
    expect((await sendRaw(service, library.base, body)).status).toBe(400);
    expect([await incoming(), (await blobs()).length]).toEqual([[], before]);
  });
});

const chunk = (content: Buffer) =>
  Buffer.concat([Buffer.from(`${content.length.toString(16)}\r\n`), content, Buffer.from('\r\n')]);

describe('an upload that is too large', () => {
  it('2: is a 413 before all of it was sent, and leaves nothing', async () => {
    const piece = chunk(Buffer.alloc(64 * 1024, 'x'));
    const whole = 1600;
    const sent = { pieces: 0, whenAnswered: 0 };
    const before = heldByBuffers();
    let held = before;
    const body = function* () {
      yield head(service, library.base, { 'transfer-encoding': 'chunked' });
      yield chunk(filePart('').subarray(0, -2));
      for (; sent.pieces < whole; sent.pieces++) {
        if (sent.pieces % 50 === 0) held = Math.max(held, heldByBuffers());
        yield piece;
      }
    };
    const socket = await dial(service);
    const answer = answerOn(socket);
    socket.once('data', () => (sent.whenAnswered = sent.pieces));
    await pipeline(body(), socket);
    const { status, body: problem } = await answer;
    expect(sent.whenAnswered).toBeLessThan(whole);
    expect(held - before).toBeLessThan(45 * 1024 * 1024);
    expect([status, problem.code]).toEqual([413, 'payload_too_large']);
    expect(await incoming()).toEqual([]);
    expect(await documents()).toEqual([]);
  });
});

describe('a file name', () => {
  it.each([
    ['that climbs', '../../etc/passwd', 'passwd'],
    ['that climbs on Windows', '..\\..\\boot.ini', 'boot.ini'],
    ['with a drive', 'C:\\x', 'x'],
    ['with a NUL', 'a\0.pdf', 'a.pdf'],
    ['that turns its direction', 'a\u202efdp.exe', 'afdp.exe'],
    ['of 5,000 characters', `${'n'.repeat(5000)}.txt`, 'n'.repeat(255)],
  ])('7: %s is never a path, and is shown cleaned', async (_, name, shown) => {
    const around = await readdir(service.dataDir);
    const body = Buffer.concat([filePart('Some text.', name), end]);
    const { status, body: document } = await sendRaw(service, library.base, body);
    expect(status).toBe(202);
    expect(document.title).toBe(shown);
    for (const { hash } of await blobs()) expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect((await readdir(service.dataDir)).sort()).toEqual(around.sort());
    for (const folder of ['', 'blobs', '..', '../..'])
      expect(await readdir(join(service.dataDir, folder)), folder).not.toContain(shown);
  });
});

describe('a file of another kind than it says', () => {
  it('1: that is empty ends failed, empty_file', async () => {
    expect(await afterReading(Buffer.alloc(0), 'empty.txt')).toMatchObject({
      status: 'failed',
      error: { code: 'empty_file', retryable: false },
      activeRevision: null,
    });
  });

  it('8: a program named .pdf ends failed, type_mismatch', async () => {
    const program = Buffer.concat([Buffer.from('MZ\x90\0\x03\0\0\0', 'latin1'), randomBytes(4000)]);
    for (const [name, code] of [
      ['setup.pdf', 'type_mismatch'],
      ['setup.exe', 'unsupported_type'],
    ] as const)
      expect(await afterReading(program, name)).toMatchObject({ status: 'failed', error: { code, retryable: false } });
  });

  it('9: HTML sent as plain text is text, and is never given back as a page', async () => {
    const html = '<!doctype html><html><body><script>alert(1)</script><p>The zebra rule.</p></body></html>';
    const document = await afterReading(Buffer.from(html), 'page.txt', 'text/plain');
    expect(document.status).toBe('ready');
    const original = await library.call('GET', `/documents/${document.id}/content?format=original`);
    expect(original.text).toBe(html);
    expect(original.headers.get('content-type')).toBe('application/octet-stream');
    expect(original.headers.get('content-disposition')).toMatch(/^attachment/);
    expect(original.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('10: that is a PDF and a ZIP at once is always read as the same one', async () => {
    const docx = await sample('salary-bands.docx');
    const both = Buffer.concat([await pdf('The polyglot rule.'), docx]);
    const outcomes = [];
    for (const name of ['one.pdf', 'two.pdf', 'three.bin']) {
      const { status, error, id } = await afterReading(both, name);
      const text = status === 'ready' ? (await library.call('GET', `/documents/${id}/content`)).body.contentType : null;
      outcomes.push([status, error?.code, text]);
    }
    expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
  });

  it('11: that is encrypted ends failed after one attempt, encrypted_document', async () => {
    const locked = await afterReading(
      await pdf('Secret.', { userPassword: 'secret' }),
      'locked.pdf',
      'application/pdf',
    );
    const ole = Buffer.concat([
      Buffer.from('d0cf11e0a1b11ae1', 'hex'),
      Buffer.alloc(1016),
      Buffer.from('EncryptedPackage', 'utf16le'),
      Buffer.alloc(1024),
    ]);
    const office = await afterReading(ole, 'locked.docx');
    for (const document of [locked, office]) {
      expect(document).toMatchObject({ status: 'failed', error: { code: 'encrypted_document', retryable: false } });
      const [row] = await service
        .database()
        .asOwner((tx) =>
          tx.rows<{ leases: number }>('select leases from revision where document_id = $1', [document.id.slice(4)]),
        );
      expect(row?.leases).toBe(1);
    }
  });

  it('12: legacy Word and Excel files end failed, unsupported_type', async () => {
    for (const [stream, name] of [
      ['WordDocument', 'old.doc'],
      ['Workbook', 'old.xls'],
    ] as const) {
      const bytes = Buffer.concat([
        Buffer.from('d0cf11e0a1b11ae1', 'hex'),
        Buffer.alloc(1016),
        Buffer.from(stream, 'utf16le'),
        Buffer.alloc(1024),
      ]);
      expect(await afterReading(bytes, name)).toMatchObject({ status: 'failed', error: { code: 'unsupported_type' } });
    }
  });

  it.each([
    ['holds U+0000', Buffer.from('The zebra\u0000 rule is kept.')],
    ['holds half a surrogate', Buffer.from('The zebra rule \xed\xa0\x80 is kept.', 'latin1')],
    ['is no valid UTF-8', Buffer.from('The zebra rule \xff\xfe is kept.', 'latin1')],
    ['is UTF-16LE', Buffer.from('\ufeffThe zebra rule is kept.', 'utf16le')],
    ['is Windows-1252', Buffer.from('The zebra rule \x96 caf\xe9 \x93quoted\x94 is kept.', 'latin1')],
  ])('13: a text that %s is read, and found', async (_, bytes) => {
    const document = await afterReading(bytes, 'odd.txt', 'text/plain');
    expect(document.status).toBe('ready');
    const { text } = (await library.call('GET', `/documents/${document.id}/content`)).body;
    expect(text).not.toContain('\u0000');
    expect(text.isWellFormed()).toBe(true);
    expect(text).toContain('zebra');
    const { results } = await library.search('zebra', { mode: 'keyword' });
    expect(results).toHaveLength(1);
  });
});

describe('the same bytes twice', () => {
  it('14: are one document in a tenant and cost no new vectors; in another tenant they are another document', async () => {
    const leave = { externalId: 'leave', content: 'Everyone has 27 days of annual leave.' };
    const first = await library.publish(leave);
    const bought = model.asked.length;
    expect(await library.upload(leave)).toMatchObject({ status: 200, body: { id: first.id, unchanged: true } });
    const twin = await library.publish({ ...leave, externalId: 'twin' });
    expect(twin.receipt.chunks).toMatchObject({ reused: 1, embedded: 0 });
    expect(model.asked.length).toBe(bought);

    const other = await makeTenant(service);
    const { id: base } = await makeBase(service, other.key);
    const path = `/v1/knowledge-bases/${base}/documents`;
    const foreign = await service.call('POST', path, { key: other.key, body: leave });
    expect(foreign.status).toBe(202);
    expect(foreign.body.id).not.toBe(first.id);
    await service.settle();
    expect(model.asked.length).toBeGreaterThan(bought);
    const owners = (await blobs()).filter(({ tenantId }) => tenantId === other.uuid);
    expect(owners).toHaveLength(1);
  });
});
