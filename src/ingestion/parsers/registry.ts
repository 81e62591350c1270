import { type ContentType, DOCX, FEED, NOTEBOOK, type Parser, PPTX, XLSX } from './parsed.js';

// Imported on use: pdf.js alone costs a process 50 ms and 30 MB, which a text file need not pay.
const parsers: Record<ContentType, () => Promise<Parser>> = {
  'application/pdf': async () => (await import('./pdf.js')).pdfParser,
  [DOCX]: async () => (await import('./docx.js')).docxParser,
  [PPTX]: async () => (await import('./pptx.js')).pptxParser,
  [XLSX]: async () => (await import('./xlsx.js')).xlsxParser,
  'application/epub+zip': async () => (await import('./epub.js')).epubParser,
  'application/json': async () => (await import('./json.js')).jsonParser,
  [NOTEBOOK]: async () => (await import('./notebook.js')).notebookParser,
  [FEED]: async () => (await import('./feed.js')).feedParser,
  'message/rfc822': async () => (await import('./eml.js')).emlParser,
  'text/csv': async () => (await import('./csv.js')).csvParser,
  'text/html': async () => (await import('./html.js')).htmlParser,
  'text/markdown': async () => (await import('./markdown.js')).markdownParser,
  'text/mdx': async () => (await import('./mdx.js')).mdxParser,
  'text/plain': async () => (await import('./plain.js')).plainParser,
};

export const contentTypes = Object.keys(parsers) as ContentType[];

export const parserFor = (contentType: ContentType): Promise<Parser> => parsers[contentType]();
