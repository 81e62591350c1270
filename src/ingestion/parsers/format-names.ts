import { DOCX, PPTX, XLSX } from './parsed.js';

/** What can be uploaded, as a list for people. */
export const READABLE =
  'PDF, Word (.docx), PowerPoint (.pptx), Excel (.xlsx), EPUB, HTML, Markdown, MDX, CSV, JSON, a notebook (.ipynb), a feed (RSS, Atom), email (.eml) or plain text';

const names: Record<string, string> = {
  'application/pdf': 'a PDF',
  [DOCX]: 'a Word document',
  [PPTX]: 'a PowerPoint presentation',
  [XLSX]: 'an Excel workbook',
  'application/epub+zip': 'an EPUB book',
  text: 'plain text',
  bin: 'binary data of an unknown kind',
  zip: 'a ZIP archive',
  'damaged-zip': 'a damaged ZIP archive',
  doc: 'a Word document of the old format (.doc)',
  xls: 'an Excel workbook of the old format (.xls)',
  ppt: 'a PowerPoint presentation of the old format (.ppt)',
  msg: 'an Outlook message',
  cfb: 'an Office file of the old format',
  xlsb: 'an Excel workbook of the binary format (.xlsb)',
  opendocument: 'an OpenDocument file',
  rtf: 'a Rich Text file',
  ps: 'a PostScript file',
  exe: 'a Windows program',
  elf: 'a Linux program',
  macho: 'a macOS program',
  svg: 'an SVG image',
  gz: 'a gzip archive',
};

const IMAGES = /^(?:png|apng|jpg|gif|webp|bmp|tif|ico|heic|avif|jp2|jxl|psd|cr2|cr3|nef|arw|dng|icns|xcf)$/;
const RECORDINGS = /^(?:mp3|mp4|m4a|m4v|mov|wav|flac|ogg|oga|ogv|opus|webm|mkv|avi|aac|amr|mpg|wma|wmv|asf|mid)$/;

/** A noun phrase for a format, with its article: "a PDF". */
export const formatName = (format: string): string => names[format] ?? seemsToBe(format);

/** The same for whatever was found, by the detector's extension. */
export function seemsToBe(found: string): string {
  const known = names[found];
  if (known) return known;
  if (IMAGES.test(found)) return `an image (${found.toUpperCase()})`;
  if (RECORDINGS.test(found)) return `a sound or video recording (${found.toUpperCase()})`;
  return `a file of type "${found}"`;
}
