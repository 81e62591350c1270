import { beforeAll, describe, expect, it } from 'vitest';
import { Document, Packer } from 'docx';
import { readConfig } from '../../src/config.js';
import {
  type ContentType,
  DOCX,
  FEED,
  NOTEBOOK,
  type ParsedDocument,
  PPTX,
  type ReadBounds,
  XLSX,
} from '../../src/ingestion/parsers/parsed.js';
import { contentTypes, parserFor } from '../../src/ingestion/parsers/registry.js';
import { book, page, pdf, presentation, samples, shape, TITLE, workbook } from './tides.js';

const { bounds } = readConfig({}).parser;

const parse = async (type: ContentType, bytes: Buffer, within: ReadBounds = bounds): Promise<ParsedDocument> =>
  (await parserFor(type)).parse(bytes, within);

/** What a format can tell, and what its sample holds of it. */
const known: Record<ContentType, { title: string | null; headings: string[]; pages: number; table: boolean }> = {
  'application/pdf': { title: TITLE, headings: ['Basics'], pages: 2, table: true },
  [DOCX]: { title: TITLE, headings: ['Basics'], pages: 0, table: true },
  [PPTX]: { title: TITLE, headings: ['Basics'], pages: 2, table: true },
  [XLSX]: { title: TITLE, headings: ['Basics', 'More'], pages: 2, table: true },
  'application/epub+zip': { title: TITLE, headings: ['Basics'], pages: 0, table: true },
  'application/json': { title: TITLE, headings: ['Ports'], pages: 0, table: true },
  [NOTEBOOK]: { title: TITLE, headings: ['Basics'], pages: 0, table: true },
  [FEED]: { title: TITLE, headings: [TITLE, 'Basics'], pages: 0, table: true },
  'message/rfc822': { title: TITLE, headings: [TITLE, 'Basics'], pages: 0, table: true },
  'text/csv': { title: null, headings: [], pages: 0, table: true },
  'text/html': { title: TITLE, headings: ['Basics'], pages: 0, table: true },
  'text/markdown': { title: TITLE, headings: ['Basics'], pages: 0, table: true },
  'text/mdx': { title: TITLE, headings: ['Basics'], pages: 0, table: true },
  'text/plain': { title: null, headings: [], pages: 0, table: false },
};

const empty: Record<ContentType, () => Promise<Buffer>> = {
  'application/pdf': () => pdf((doc) => doc.rect(0, 0, 50, 50).fill()),
  [DOCX]: () => Packer.toBuffer(new Document({ sections: [{ children: [] }] })),
  [PPTX]: async () => presentation([shape('title'), shape('sldNum', '7')]),
  [XLSX]: async () => workbook({ Sheet1: '<sheetData/>' }),
  'application/epub+zip': async () => book({ 'one.xhtml': page('<img alt="" src="x.png"/>') }),
  'application/json': async () => Buffer.from('{"a": [], "b": null, "c": ""}'),
  [NOTEBOOK]: async () => Buffer.from('{"cells": [{"cell_type": "code", "source": [], "outputs": []}]}'),
  [FEED]: async () => Buffer.from('<rss><channel><title/><item><title> </title></item></channel></rss>'),
  'message/rfc822': async () => Buffer.from('X-Mailer: nobody\r\n\r\n \r\n'),
  'text/csv': async () => Buffer.from(',,\n"",\n'),
  'text/html': async () => Buffer.from('<script>1</script><p hidden>x</p>'),
  'text/markdown': async () => Buffer.from('---\ntitle: x\n---\n<!-- x -->\n\n![](a.png)'),
  'text/mdx': async () => Buffer.from('export const meta = {\n  a: 1,\n};\n\n<Hero image={x} />\n'),
  'text/plain': async () => Buffer.from(' \n\t\n\0'),
};

/** Any bytes are some text; only these can be damaged. */
const damaged: Partial<Record<ContentType, () => Promise<Buffer>>> = {
  'application/pdf': async () => Buffer.from('%PDF-1.7\ngarbage'),
  [DOCX]: () => half(DOCX),
  [PPTX]: () => half(PPTX),
  [XLSX]: () => half(XLSX),
  'application/epub+zip': () => half('application/epub+zip'),
  'application/json': async () => Buffer.from('{"a": [1, 2'),
  [NOTEBOOK]: async () => Buffer.from('{"nbformat": 4}'),
  [FEED]: async () => Buffer.from('<rss><channel><title>x'),
  'message/rfc822': async () => Buffer.from('\r\n\r\nno header at all'),
};

async function half(type: ContentType): Promise<Buffer> {
  const whole = await samples[type]();
  return whole.subarray(0, whole.length / 2);
}

const inArchives: ContentType[] = [DOCX, PPTX, XLSX, 'application/epub+zip'];

describe.each(contentTypes)('a parser of %s', (type) => {
  let parsed: ParsedDocument;

  beforeAll(async () => {
    parsed = await parse(type, await samples[type]());
  });

  it('counts offsets that point at its blocks, in order and a blank line apart', () => {
    let end = -2;
    for (const block of parsed.blocks) {
      expect(block.start).toBe(end + 2);
      expect(parsed.text.slice(block.start, block.end).trim()).not.toBe('');
      expect(block.level === undefined).toBe(block.kind !== 'heading');
      end = block.end;
    }
    expect(parsed.text.length).toBe(end);
  });

  it('stores well-formed text without NUL or invisible marks', () => {
    // oxlint-disable-next-line no-control-regex -- the absence of control characters is what is tested
    expect(parsed.text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u00ad\ufeff]|\p{Surrogate}/u);
    expect(parsed.text).toContain('The moon pulls the sea');
  });

  it('keeps the rows of a table together, and knows their header', () => {
    expect(parsed.text).toContain('Port | High\nBrest | 04:10');
    if (!known[type].table) return;
    const table = parsed.blocks.find(({ kind }) => kind === 'table')!;
    expect(parsed.text.slice(table.start, table.end)).toMatch(/^Port \| High\nBrest \| 04:10/);
    expect(table.header).toEqual({ start: table.start, end: table.start + 'Port | High'.length });
  });

  it('knows title and headings where the format has them', () => {
    const { title, headings } = known[type];
    const found = parsed.blocks.filter(({ kind }) => kind === 'heading');
    expect(parsed.title).toBe(title);
    expect(found.map(({ start, end }) => parsed.text.slice(start, end))).toEqual(headings);
    if (found[0]) expect(found[0].level).toBe(1);
  });

  it('has pages, slides or sheets only where the format has them', () => {
    const count = known[type].pages;
    expect(parsed.pages.map(({ page: number }) => number)).toEqual(Array.from({ length: count }, (_, at) => at + 1));
    for (const block of parsed.blocks) {
      const on = parsed.pages.find(({ page: number }) => number === block.page);
      expect(block.page === null).toBe(count === 0);
      if (on) expect(on.start <= block.start && block.end <= on.end).toBe(true);
    }
    const last = parsed.pages.at(-1);
    if (last) expect(parsed.text.slice(last.start, last.end)).toMatch(/^(?:More\n\n)?Second page\.$/);
  });

  it('refuses a document without any text by name', async () => {
    const code = type === 'application/pdf' ? 'no_text_layer' : 'empty_document';
    await expect(parse(type, await empty[type]())).rejects.toMatchObject({ code, retryable: false });
  });

  it('refuses a damaged file by name', async () => {
    const bytes = await damaged[type]?.();
    if (!bytes) return expect(type).toMatch(/^text\//);
    await expect(parse(type, bytes)).rejects.toMatchObject({ code: 'unreadable_document', retryable: false });
  });

  it('refuses what is more than its bounds, by name', async () => {
    const bytes = await samples[type]();
    const codeWithin = (less: Partial<ReadBounds>) =>
      parse(type, bytes, { ...bounds, ...less }).then(
        () => 'text',
        (error: { code: string }) => error.code,
      );
    expect(await codeWithin({ textChars: 30 })).toBe('text_limit');
    expect(await codeWithin({ blocks: 0 })).toBe('block_limit');
    if (known[type].table) expect(await codeWithin({ cells: 3 })).toBe('cell_limit');
    if (known[type].pages > 0) expect(await codeWithin({ pages: 1 })).toBe('page_limit');
    if (!inArchives.includes(type)) return;
    expect(await codeWithin({ entries: 2 })).toBe('archive_entry_limit');
    expect(await codeWithin({ inflatedBytes: 100 })).toBe('decompression_limit');
    expect(await codeWithin({ partBytes: 10 })).toBe('decompression_limit');
    expect(await codeWithin({ depth: 1 })).toBe('nesting_too_deep');
  });
});
