import { describe, expect, it } from 'vitest';
import type PdfWriter from 'pdfkit';
import { readConfig } from '../../src/config.js';
import type { ContentType, ParsedDocument } from '../../src/ingestion/parsers/parsed.js';
import { parserFor } from '../../src/ingestion/parsers/registry.js';
import { pdf, tidesPdf } from './tides.js';

const { bounds } = readConfig({}).parser;

const parse = async (type: ContentType, bytes: Buffer | string): Promise<ParsedDocument> =>
  (await parserFor(type)).parse(Buffer.from(bytes as string), bounds);

const write = (doc: InstanceType<typeof PdfWriter>) => doc.text('Readable by everyone.');

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
});
