import { describe, expect, it } from 'vitest';
import type PdfWriter from 'pdfkit';
import { readConfig } from '../../src/config.js';
import type { ContentType, ParsedDocument } from '../../src/ingestion/parsers/parsed.js';
import { linesOf } from '../../src/ingestion/parsers/pdf-lines.js';
import { parserFor } from '../../src/ingestion/parsers/registry.js';
import { pdf, tidesPdf } from './tides.js';

const { bounds } = readConfig({}).parser;

const parse = async (type: ContentType, bytes: Buffer | string): Promise<ParsedDocument> =>
  (await parserFor(type)).parse(Buffer.from(bytes as string), bounds);

const write = (doc: InstanceType<typeof PdfWriter>) => doc.text('Readable by everyone.');

const drawRow = (doc: InstanceType<typeof PdfWriter>, y: number, cells: Record<number, string>) => {
  for (const [x, cell] of Object.entries(cells)) doc.text(cell, Number(x), y, { lineBreak: false });
};

const item = (str: string, dir: string, x: number, width: number) => ({
  str,
  dir,
  width,
  transform: [10, 0, 0, 10, x, 700],
  height: 10,
  fontName: 'f',
  hasEOL: false,
});

describe('PDF', () => {
  it('opens with an owner password only, and asks for one that readers need', async () => {
    const owned = await parse('application/pdf', await pdf(write, { ownerPassword: 'o', pdfVersion: '1.7' }));
    expect(owned.text).toBe('Readable by everyone.');
    const locked = await pdf(write, { userPassword: 'u', pdfVersion: '1.7' });
    await expect(parse('application/pdf', locked)).rejects.toMatchObject({ code: 'encrypted_document' });
  });

  it('refuses a broken file and too many pages', async () => {
    await expect(parse('application/pdf', '%PDF-1.7\ngarbage')).rejects.toMatchObject({ code: 'unreadable_document' });
    const parser = await parserFor('application/pdf');
    const long = parser.parse(await tidesPdf(), { ...bounds, pages: 1 });
    await expect(long).rejects.toMatchObject({ code: 'page_limit' });
  });

  it('drops running headers and page numbers', async () => {
    const bytes = await pdf((doc) => {
      for (let page = 1; page <= 6; page += 1) {
        if (page > 1) doc.addPage();
        doc.fontSize(8).text('Annual report 2025', 72, 30).text(`${page}`, 300, 740, { lineBreak: false });
        doc.fontSize(11).text(`Words of page ${'abcdef'[page - 1]} about the sea. `.repeat(8), 72, 100);
        doc.text(`Then the ${'xyzuvw'[page - 1]} part ends here.`, 72, 300);
      }
    });
    const { text } = await parse('application/pdf', bytes);
    expect(text).not.toContain('Annual report');
    expect(text).not.toMatch(/^\d$/m);
    expect(text).toContain('Then the w part ends here.');
  });

  it('tells headings from running text by size also when most of the words are small print', async () => {
    const bytes = await pdf((doc) => {
      doc.fontSize(18).text('Results of the quarter').moveDown();
      doc
        .fontSize(12)
        .text(
          'Revenue rose because more ships came to the ports of the north in spring\nand in summer than ever before in the history of the harbour and its quays',
        )
        .moveDown();
      doc.fontSize(8).text('Small print that nobody reads but that fills most of the page. '.repeat(7));
    });
    const parsed = await parse('application/pdf', bytes);
    expect(parsed.blocks.map(({ kind }) => kind)).toEqual(['heading', 'paragraph', 'paragraph']);
  });

  it('mends words that are broken at the end of a line, and leaves compounds their hyphen', async () => {
    const lines = [
      'The long walk and the short term are words of their own, but the prac-',
      'tice of a long-',
      'term plan needs a well-',
      'known method, which everyone calls well-known.',
    ];
    const { text } = await parse(
      'application/pdf',
      await pdf((doc) => void lines.forEach((line, at) => doc.text(line, 72, 72 + 14 * at))),
    );
    expect(text).toContain('the practice of a long-term plan needs a well-known method');
  });

  it('keeps figures in their columns, under names that are broken over lines and drawn one after the other', async () => {
    const bytes = await pdf((doc) => {
      doc.fontSize(10).text('The balance of the year follows, and it is told here in a sentence.', 72, 60);
      drawRow(doc, 110, { 72: 'In millions' });
      drawRow(doc, 100, { 250: 'May' });
      drawRow(doc, 110, { 250: '2018' });
      drawRow(doc, 100, { 330: 'May' });
      drawRow(doc, 110, { 330: '2017' });
      drawRow(doc, 100, { 410: 'Percent' });
      drawRow(doc, 110, { 410: 'change' });
      drawRow(doc, 124, { 72: 'ASSETS' });
      drawRow(doc, 138, { 72: 'Current assets:' });
      drawRow(doc, 152, { 72: 'Cash', 244: '$', 250: '4,249', 324: '$', 330: '3,808', 410: '12 %' });
      drawRow(doc, 166, { 72: 'Inventories', 250: '5,261', 410: '4 %' });
      drawRow(doc, 180, { 72: 'Goodwill', 250: '154', 330: '139', 410: '11 %' });
    });
    const parsed = await parse('application/pdf', bytes);
    const table = parsed.blocks.find(({ kind }) => kind === 'table')!;
    expect(parsed.text.slice(table.start, table.end).split('\n')).toEqual([
      'In millions | May 2018 | May 2017 | Percent change',
      'ASSETS',
      'Current assets:',
      'Cash | $4,249 | $3,808 | 12 %',
      'Inventories | 5,261 | | 4 %',
      'Goodwill | 154 | 139 | 11 %',
    ]);
    expect(parsed.text.slice(table.header?.start, table.header?.end)).toBe(
      'In millions | May 2018 | May 2017 | Percent change',
    );
  });

  it('reads bullets as a list and not as a column', async () => {
    const bytes = await pdf((doc) => {
      for (const [line, text] of ['Ships came from the north.', 'Ships left for the south.'].entries()) {
        doc.fontSize(10).text('•', 72, 100 + 16 * line, { lineBreak: false });
        doc.text(text, 92, 100 + 16 * line);
      }
    });
    const parsed = await parse('application/pdf', bytes);
    expect(parsed.text).toBe('- Ships came from the north.\n- Ships left for the south.');
    expect(parsed.blocks[0]?.kind).toBe('list');
  });

  it('takes for headings what its bookmarks name, on one line or on two, with their levels', async () => {
    const bytes = await pdf((doc) => {
      const top = doc.outline.addItem('The tides of the western ports');
      top.addItem('Spring');
      for (const [at, line] of [
        'The tides of the',
        'western ports',
        'Some words of the text,',
        'then',
        'Spring',
        'and more of them.',
      ].entries())
        doc.fontSize(10).text(line, 72, 72 + 13 * at);
    });
    const parsed = await parse('application/pdf', bytes);
    const headings = parsed.blocks.filter(({ kind }) => kind === 'heading');
    expect(headings.map(({ start, end, level }) => [level, parsed.text.slice(start, end)])).toEqual([
      [1, 'The tides of the western ports'],
      [2, 'Spring'],
    ]);
  });

  it('reads the columns of a page one after the other', async () => {
    const bytes = await pdf((doc) => {
      for (const [name, x] of [
        ['left', 60],
        ['right', 320],
      ] as const) {
        const text = `The ${name} column speaks about the sea and about its ports. `.repeat(8);
        doc.fontSize(10).text(text, x, 80, { width: 220 });
      }
    });
    const { text } = await parse('application/pdf', bytes);
    expect(text.lastIndexOf('left')).toBeLessThan(text.indexOf('right'));
    expect(text).toContain('left column speaks about the sea and about its ports. The left column');
  });

  it('turns the ligature of lam and alef the right way around, and parts Latin words from Arabic ones', () => {
    const [line] = linesOf(
      1,
      [0, 0, 600, 800],
      [item('األدوات', 'rtl', 300, 60), item('Python', 'ltr', 270, 30), item('ميزات', 'rtl', 220, 50)],
    );
    expect(line?.text).toBe('الأدوات Python ميزات');
  });
});
