import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import PdfWriter from 'pdfkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Config, readConfig } from '../../src/config.js';
import { ParserPool } from '../../src/ingestion/parsers/parser-pool.js';

type Settings = Config['parser'];

let folder: string;
let pool: ParserPool;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lectern-test-'));
  pool = new ParserPool(readConfig({}).parser);
});

afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

async function parse(name: string, bytes: Buffer | string, limits: Partial<Settings> = {}, signal?: AbortSignal) {
  const path = join(folder, name);
  await writeFile(path, bytes);
  const options = { owner: 'somebody', ...(signal ? { signal } : {}) };
  const hint = { filename: name, declared: null };
  if (Object.keys(limits).length === 0) return pool.parse(path, hint, options);
  const narrow = new ParserPool({ ...readConfig({}).parser, ...limits });
  return narrow.parse(path, hint, options).finally(() => narrow.close());
}

const folders = async () =>
  (await readdir(tmpdir())).filter((name) => name.startsWith(`lectern-parse-${process.pid}-`));

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

describe('the pool of parser processes', () => {
  it('answers what the parser made of a PDF', async () => {
    const { contentType, parsed } = await parse('tides.pdf', await pdf());
    expect(contentType).toBe('application/pdf');
    expect(parsed.pages.map(({ page }) => page)).toEqual([1, 2]);
    expect(parsed.text).toBe('Tides\n\nThe moon pulls the sea.\n\nPage two.');
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
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it('kills a parse that grows beyond its memory', async () => {
    await expect(parse('large.pdf', bomb(60), { rssMb: 150 })).rejects.toMatchObject({ code: 'parser_memory' });
  });

  it('names a full heap as memory, not as a crash', async () => {
    const long = `${'| a '.repeat(40)}|\n${'|---'.repeat(40)}|\n${`${'| cell '.repeat(40)}|\n`.repeat(20_000)}`;
    await expect(parse('heap.md', long, { heapMb: 48, rssMb: 4_000 })).rejects.toMatchObject({ code: 'parser_memory' });
  });

  it('does not blame a file that is not there', async () => {
    const lost = pool.parse(join(folder, 'never-written.txt'), { filename: null, declared: null }, { owner: 'x' });
    await expect(lost).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('ends at once when it is aborted, and leaves no folder behind', async () => {
    const before = await folders();
    const reason = new Error('shutting down');
    const stop = new AbortController();
    const parsing = parse('stopped.pdf', bomb(60), { rssMb: 4_000, heapMb: 4_000 }, stop.signal);
    setTimeout(() => stop.abort(reason), 200);
    await expect(parsing).rejects.toBe(reason);
    expect((await folders()).filter((name) => !before.includes(name))).toEqual([]);
  });

  it('reads no more files at the same time than it has processes', async () => {
    const two = new ParserPool({ ...readConfig({}).parser, processes: 2 });
    const path = join(folder, 'many.txt');
    await writeFile(path, 'Tides.');
    const before = (await folders()).length;
    const many = Array.from({ length: 6 }, () => two.parse(path, { filename: null, declared: null }, { owner: 'x' }));
    await Promise.race(many);
    expect((await folders()).length - before).toBeLessThanOrEqual(2);
    expect((await Promise.all(many)).map(({ parsed }) => parsed.text)).toEqual(
      Array.from({ length: 6 }, () => 'Tides.'),
    );
    await two.close();
    expect(await folders()).toHaveLength(before);
  });
});
