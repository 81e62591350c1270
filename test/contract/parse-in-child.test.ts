import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import PdfWriter from 'pdfkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultParseLimits, parseInChild, type ParseLimits } from '../../src/ingestion/parsers/parse-in-child.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lectern-test-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function parse(name: string, bytes: Buffer | string, limits: Partial<ParseLimits> = {}, signal?: AbortSignal) {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return parseInChild(path, { filename: name, declared: null }, { ...defaultParseLimits, ...limits }, signal);
}

function pdf(options: object = {}): Promise<Buffer> {
  return new Promise((done) => {
    const doc = new PdfWriter(options);
    const parts: Buffer[] = [];
    doc.on('data', (part: Buffer) => parts.push(part)).on('end', () => done(Buffer.concat(parts)));
    doc.fontSize(18).text('Tides').fontSize(11).text('The moon pulls the sea.').addPage().text('Page two.').end();
  });
}

/** One page whose content stream inflates to `mib` MiB of drawing that a reader has to go through. */
function bomb(mib: number): Buffer {
  const content = deflateSync(Buffer.from('BT /F1 9 Tf (tide) Tj ET\n'.repeat(mib * 42_000)));
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>',
  ];
  const head = objects.map((body, index) => `${index + 1} 0 obj\n${body}\nendobj\n`).join('');
  const stream = `4 0 obj\n<</Length ${content.length}/Filter/FlateDecode>>\nstream\n`;
  const tail = '\nendstream\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n';
  return Buffer.concat([Buffer.from(`%PDF-1.4\n${head}${stream}`), content, Buffer.from(tail)]);
}

describe('parseInChild', () => {
  it('answers what the parser made of a PDF', async () => {
    const { contentType, parsed, maxRssMb } = await parse('tides.pdf', await pdf());
    expect(contentType).toBe('application/pdf');
    expect(parsed.pages.map(({ page }) => page)).toEqual([1, 2]);
    expect(parsed.text).toBe('Tides\n\nThe moon pulls the sea.\n\nPage two.');
    expect(maxRssMb).toBeGreaterThan(10);
  });

  it.each([
    ['empty.txt', '', 'empty_file'],
    ['blank.txt', ' \n ', 'empty_document'],
    ['program.pdf', `MZ${'\0'.repeat(300)}`, 'type_mismatch'],
    ['nested.html', '<div>'.repeat(100_000), 'nesting_too_deep'],
    ['broken.pdf', '%PDF-1.7 and no more', 'unreadable_document'],
  ])('carries over why %s cannot be read', async (name, bytes, code) => {
    await expect(parse(name, bytes)).rejects.toMatchObject({ code, retryable: false });
  });

  it('carries over that a PDF is encrypted', async () => {
    const locked = await pdf({ userPassword: 'secret', pdfVersion: '1.7' });
    await expect(parse('locked.pdf', locked)).rejects.toMatchObject({ code: 'encrypted_document', retryable: false });
  });

  it('kills a parse that takes too long', async () => {
    const started = performance.now();
    await expect(parse('slow.pdf', bomb(60), { timeoutMs: 700, rssMb: 4_000, heapMb: 4_000 })).rejects.toMatchObject({
      code: 'parser_timeout',
    });
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it('kills a parse that grows beyond its memory', async () => {
    await expect(parse('large.pdf', bomb(60), { rssMb: 150 })).rejects.toMatchObject({ code: 'parser_memory' });
  });

  it('names a full heap as memory, not as a crash', async () => {
    const long = `${'| a '.repeat(40)}|\n${'|---'.repeat(40)}|\n${`${'| cell '.repeat(40)}|\n`.repeat(20_000)}`;
    await expect(parse('heap.md', long, { heapMb: 24, rssMb: 4_000 })).rejects.toMatchObject({ code: 'parser_memory' });
  });

  it('calls a process that ends without a reply a crash that may be tried again', async () => {
    const path = join(folder, 'never-written.txt');
    const lost = parseInChild(path, { filename: null, declared: null }, defaultParseLimits);
    await expect(lost).rejects.toMatchObject({ code: 'parser_crashed', retryable: true });
  });

  it('ends at once when it is aborted, and leaves no folder behind', async () => {
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith('lectern-parse-'));
    const reason = new Error('shutting down');
    const stop = new AbortController();
    const parsing = parse('stopped.pdf', bomb(60), { rssMb: 4_000, heapMb: 4_000 }, stop.signal);
    setTimeout(() => stop.abort(reason), 200);
    await expect(parsing).rejects.toBe(reason);
    const after = (await readdir(tmpdir())).filter((name) => name.startsWith('lectern-parse-'));
    expect(after.filter((name) => !before.includes(name))).toEqual([]);
  });
});
