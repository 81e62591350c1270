import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PermanentFailure } from '../../errors.js';
import { openedByOwner } from './pdf-owner.js';

/** One run of glyphs as pdf.js reports it; `transform` is [a b c d x y] in PDF units, `hasEOL` ends a line. */
export interface PdfItem {
  str: string;
  dir: string;
  transform: number[];
  width: number;
  height: number;
  fontName: string;
  hasEOL: boolean;
}

export interface PdfOutlineNode {
  title: string;
  items: PdfOutlineNode[];
}

interface PdfAnnotation {
  subtype?: string;
  fieldName?: string;
  alternativeText?: string;
  fieldValue?: unknown;
  hidden?: boolean;
  password?: boolean;
  /** The lines of a free text annotation, as they are drawn on the page. */
  textContent?: string[];
}

export interface PdfPage {
  view: number[];
  getTextContent(): Promise<{ items: (PdfItem | { type: string })[] }>;
  getAnnotations(): Promise<PdfAnnotation[]>;
  cleanup(): void;
}

/** The part of pdf.js's document that reading needs. */
export interface PdfDocument {
  numPages: number;
  getPage(number: number): Promise<PdfPage>;
  getMetadata(): Promise<{ info: Record<string, unknown> }>;
  getOutline(): Promise<PdfOutlineNode[] | null>;
  destroy(): Promise<void>;
}

// The tables for East Asian encodings and the metrics of the standard fonts ship with pdf.js; without them text in fonts
// that are not embedded comes out empty.
const pdfjsFolder = dirname(
  createRequire(createRequire(import.meta.url).resolve('pdf-parse')).resolve('pdfjs-dist/package.json'),
);

// pdf.js is built for old browsers: on Node 20 it puts a `push` and a `JSON.parse` of its own in place of the engine's, over
// a difference in corner cases that nothing here meets, and a filing then takes a fifth longer to read.
const { push } = Array.prototype;
const { parse } = JSON;
const { PasswordException, PDFParse } = await import('pdf-parse');
// It would load its other half with the first document; a process that reads many looks the same before all of them.
await import(pathToFileURL(join(pdfjsFolder, 'legacy/build/pdf.worker.mjs')).href);
Object.assign(Array.prototype, { push });
Object.assign(JSON, { parse });

/**
 * Opens a PDF for reading text. pdf-parse's own `getText` returns strings only; font sizes and positions, by which
 * headings and tables are told, are in the pdf.js document that it wraps.
 * Throws `encrypted_document` when a password is needed; documents with only an owner password open without one.
 * Whoever opened it calls `destroy` when done.
 */
export async function openPdf(bytes: Buffer): Promise<PdfDocument> {
  try {
    return await load(bytes);
  } catch (error) {
    if (!(error instanceof PasswordException)) throw error;
    const opened = openedByOwner(bytes);
    if (opened) return load(opened);
    throw new PermanentFailure('encrypted_document', 'The PDF is protected by a password: upload it without one.');
  }
}

async function load(bytes: Buffer): Promise<PdfDocument> {
  const parser = new PDFParse({
    data: new Uint8Array(bytes),
    isEvalSupported: false,
    useSystemFonts: false,
    stopAtErrors: false,
    maxImageSize: 1,
    cMapUrl: join(pdfjsFolder, 'cmaps/'),
    standardFontDataUrl: join(pdfjsFolder, 'standard_fonts/'),
    verbosity: 0,
  });
  return (parser as unknown as { load(): Promise<PdfDocument> }).load();
}
