import { PermanentFailure } from '../../errors.js';
import { asUnreadable, type Parser, type ReadBounds } from './parsed.js';
import { openPdf, type PdfDocument, type PdfPage } from './pdf-document.js';
import { NUMBERED, styleOf } from './pdf-headings.js';
import { linesOf, type PdfLine } from './pdf-lines.js';
import { blocksOf } from './pdf-paragraphs.js';
import { withoutFurniture } from './pdf-furniture.js';
import { unstacked } from './pdf-stacks.js';
import { vocabularyOf } from './pdf-words.js';
import { tableText } from './table-rows.js';
import { TextBuilder } from './text-builder.js';
import { meaningfulTitle } from './title.js';

interface ReadPage {
  number: number;
  lines: PdfLine[];
  fields: string[];
}

/**
 * PDF by way of pdf.js (inside pdf-parse), page by page; pages are numbered from 1 as in the file, not as printed.
 * Two passes: what is a heading or a running header shows only against the whole document.
 */
export const pdfParser: Parser = {
  contentType: 'application/pdf',
  async parse(bytes, bounds) {
    let document: PdfDocument | null = null;
    try {
      document = await openPdf(bytes);
      const { info } = await document.getMetadata().catch(() => ({ info: {} as Record<string, unknown> }));
      const pages = await readPages(document, bounds, info['IsAcroFormPresent'] === true);
      refuseWithoutText(pages, info);
      const builder = new TextBuilder(bounds);
      await writePages(document, pages, builder);
      if (builder.isEmpty) throw noTextLayer();
      return builder.finish(meaningfulTitle(info['Title']) ?? titleOnFirstPage(builder));
    } catch (error) {
      throw asUnreadable(error, 'PDF');
    } finally {
      await document?.destroy();
    }
  },
};

/** "Item 1. Business" is where a document starts, not what it is called. */
function titleOnFirstPage(builder: TextBuilder): string | null {
  const title = builder.firstHeading(1);
  return title && !NUMBERED.test(title) ? meaningfulTitle(title) : null;
}

async function readPages(document: PdfDocument, bounds: ReadBounds, hasForm: boolean): Promise<ReadPage[]> {
  if (document.numPages > bounds.pages) {
    throw new PermanentFailure(
      'page_limit',
      `The PDF has ${document.numPages} pages, more than the ${bounds.pages} that are accepted: split it into parts.`,
    );
  }
  const pages: ReadPage[] = [];
  let broken: unknown = null;
  let chars = 0;
  for (let number = 1; number <= document.numPages; number += 1) {
    const read: ReadPage = { number, lines: [], fields: [] };
    pages.push(read);
    try {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      read.lines = unstacked(linesOf(number, page.view, items));
      if (hasForm || read.lines.length === 0) read.fields = await writtenOver(page);
      page.cleanup();
    } catch (error) {
      broken = error; // a damaged page is left empty as long as another one can be read
    }
    for (const line of read.lines) chars += line.text.length;
    if (chars > bounds.textChars) break; // the builder refuses it in its own words
  }
  if (chars === 0 && broken !== null) throw broken;
  return pages;
}

/**
 * What the viewer draws over the page and is no part of its text: a form's values, as "label: value", and what was typed
 * onto it. Looked for in forms and on pages without words; asking for it on every page costs a seventh more time.
 */
async function writtenOver(page: PdfPage): Promise<string[]> {
  const fields: string[] = [];
  for (const annotation of await page.getAnnotations()) {
    const { subtype, fieldName, alternativeText, fieldValue, hidden, password, textContent } = annotation;
    if (subtype === 'FreeText' && !hidden && textContent) fields.push(textContent.join('\n'));
    if (subtype !== 'Widget' || hidden || password) continue;
    const value = Array.isArray(fieldValue) ? fieldValue.join(', ') : fieldValue;
    if (typeof value !== 'string' || value.trim() === '' || value === 'Off') continue;
    fields.push(`${alternativeText || fieldName || 'Field'}: ${value}`);
  }
  return fields;
}

const noTextLayer = () =>
  new PermanentFailure(
    'no_text_layer',
    'The PDF holds pictures of pages but no text: run text recognition (OCR) on it and upload the result.',
  );

function refuseWithoutText(pages: readonly ReadPage[], info: Record<string, unknown>): void {
  const text = pages
    .flatMap(({ lines, fields }) => [...lines.map((line) => line.text), ...fields])
    .slice(0, 60)
    .join(' ');
  if (text.trim() === '') throw noTextLayer();
  // Dynamic XFA forms carry one page for other viewers: "Please wait… If this message is not eventually replaced".
  if (info['IsXFAPresent'] === true && /please wait|requires adobe reader/i.test(text) && text.length < 2_000) {
    throw new PermanentFailure(
      'no_text_layer',
      'The PDF is a dynamic form whose content only Adobe software shows: print it to a PDF and upload that.',
    );
  }
}

async function writePages(document: PdfDocument, pages: ReadPage[], builder: TextBuilder): Promise<void> {
  const outline = await document.getOutline().catch(() => null);
  const kept = withoutFurniture(pages.map(({ lines }) => lines));
  const lines = kept.flat();
  const style = styleOf(lines, outline);
  const words = vocabularyOf(lines);
  for (const [index, { number, fields }] of pages.entries()) {
    builder.startPage(number);
    for (const { kind, text, level, rows } of blocksOf(kept[index] ?? [], style, words)) {
      for (const row of rows ?? []) builder.countCells(row.length);
      if (rows) builder.addTable(tableText(rows));
      else builder.add(kind, text, level);
    }
    if (fields.length > 0) builder.add('list', fields.join('\n'));
  }
}
