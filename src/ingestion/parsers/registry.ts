import { type ContentType, DOCX, type Parser } from './parsed.js';

// Imported on use: pdf.js alone costs a process 50 ms and 30 MB, which a text file need not pay.
const parsers: Record<ContentType, () => Promise<Parser>> = {
  'application/pdf': async () => (await import('./pdf.js')).pdfParser,
  [DOCX]: async () => (await import('./docx.js')).docxParser,
  'text/html': async () => (await import('./html.js')).htmlParser,
  'text/markdown': async () => (await import('./markdown.js')).markdownParser,
  'text/plain': async () => (await import('./plain.js')).plainParser,
};

export const contentTypes = Object.keys(parsers) as ContentType[];

export const parserFor = (contentType: ContentType): Promise<Parser> => parsers[contentType]();
