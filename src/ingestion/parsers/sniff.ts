import { extname } from 'node:path';
import { fileTypeFromBuffer } from 'file-type';
import { PermanentFailure } from '../../errors.js';
import { Archive } from './archive.js';
import { decodeText } from './decode.js';
import { type ContentType, DOCX, type ReadBounds } from './parsed.js';
import { formatName, seemsToBe } from './format-names.js';

/** What the sender says of a file: hints only, never trusted. */
export interface TypeHint {
  filename: string | null;
  declared: string | null;
}

const PDF = 'application/pdf';
const SAMPLE = 64 * 1024;
const READABLE = 'Upload PDF, Word (.docx), HTML, Markdown or plain text.';

/**
 * Tells what a file is from its bytes; `bytes` must be the whole file. The hint only chooses between kinds of text, and
 * is a promise when it says PDF or Word: those must be what they claim.
 * Throws `PermanentFailure`: `empty_file`, `unsupported_type`, `type_mismatch`, `encrypted_document`.
 */
export async function sniff(bytes: Buffer, hint: TypeHint, bounds: ReadBounds): Promise<ContentType> {
  if (bytes.length === 0) throw new PermanentFailure('empty_file', 'The file is empty: it holds no bytes at all.');
  const promised = promises(hint);
  const found = await identify(bytes, promised, bounds);
  if (found === 'text') {
    if (promised.size > 0) throw mismatch(promised, 'text');
    return textKind(bytes, hint);
  }
  if (found !== PDF && found !== DOCX) {
    if (promised.size > 0) throw mismatch(promised, found);
    throw new PermanentFailure(
      'unsupported_type',
      `This is ${seemsToBe(found)}, which cannot be read here. ${READABLE}`,
    );
  }
  if (promised.size > 0 && !promised.has(found)) throw mismatch(promised, found);
  return found;
}

/** The binary formats that name and declaration promise; neither, for a file that only claims to be some text. */
function promises({ filename, declared }: TypeHint): Set<ContentType> {
  const promised = new Set<ContentType>();
  const mime = bareType(declared);
  const extension = extensionOf(filename);
  if (extension === '.pdf' || mime === PDF || mime === 'application/x-pdf') promised.add(PDF);
  if (extension === '.docx' || mime === DOCX) promised.add(DOCX);
  return promised;
}

/** A readable binary type, 'text', or the extension of something else. */
async function identify(bytes: Buffer, promised: ReadonlySet<ContentType>, bounds: ReadBounds): Promise<string> {
  // Containers first, by their very first bytes: a ZIP may well store a PDF within its first kilobyte.
  if (bytes.length >= 4 && bytes.readUInt32BE(0) === 0x504b0304) return zipKind(bytes, promised, bounds);
  if (bytes.length >= 8 && bytes.toString('hex', 0, 8) === 'd0cf11e0a1b11ae1') return oleKind(bytes);
  if (isPdf(bytes)) return PDF;
  if (isTextual(bytes)) return textFormat(bytes);
  // A sample is enough for every magic number, and bounds what a hostile container can make the detector do.
  const magic = await fileTypeFromBuffer(bytes.subarray(0, SAMPLE)).catch(() => undefined);
  return magic?.ext ?? 'bin';
}

function zipKind(bytes: Buffer, promised: ReadonlySet<ContentType>, bounds: ReadBounds): string {
  let types: string;
  try {
    types = new Archive(bytes, bounds).read('[Content_Types].xml')?.toString('utf8') ?? '';
  } catch (error) {
    // A damaged Word file is for the parser to refuse, with its own reason; any other archive is not ours to open.
    if (promised.has(DOCX)) return DOCX;
    return error instanceof PermanentFailure && error.code !== 'unreadable_document' ? 'zip' : 'damaged-zip';
  }
  if (/wordprocessingml\.(?:document|template)\.main\+xml|ms-word\.(?:document|template)\.macroEnabled/i.test(types))
    return DOCX;
  if (/spreadsheetml\.(?:sheet|template)\.main|ms-excel\.\w+\.(?:macroEnabled|binary)/i.test(types)) return 'xlsx';
  if (/presentationml\.\w+\.main|ms-powerpoint\.\w+\.macroEnabled/i.test(types)) return 'pptx';
  const head = bytes.toString('latin1', 0, 200);
  const stored = /mimetypeapplication\/(epub\+zip|vnd\.oasis\.opendocument\.(\w+))/.exec(head);
  if (stored) return stored[1] === 'epub+zip' ? 'epub' : 'opendocument';
  return 'zip';
}

/** OLE compound files: the directory spells stream names in UTF-16LE. */
function oleKind(bytes: Buffer): string {
  const has = (stream: string) => bytes.includes(Buffer.from(stream, 'utf16le'));
  if (has('EncryptedPackage')) {
    throw new PermanentFailure('encrypted_document', 'The file is protected by a password: upload it without one.');
  }
  if (has('WordDocument')) return 'doc';
  if (has('Workbook') || has('WORKBOOK') || has('Book')) return 'xls';
  if (has('PowerPoint Document')) return 'ppt';
  return has('__properties_version1.0') ? 'msg' : 'cfb';
}

/** Readers accept junk before the header within the first kilobyte; text that merely mentions "%PDF-" has no objects. */
function isPdf(bytes: Buffer): boolean {
  const at = bytes.subarray(0, 1024 + 5).indexOf('%PDF-');
  if (at < 0) return false;
  if (bytes.toString('latin1', 0, at).trim() === '') return true;
  return /\d+\s+\d+\s+obj\b/.test(bytes.toString('latin1', at, at + SAMPLE)) && bytes.includes('endobj');
}

/**
 * Text has next to no control bytes. A few are forgiven (a stray NUL is no reason to lose a document); random bytes have
 * 10 %, programs and images more.
 */
function isTextual(bytes: Buffer): boolean {
  const [a, b] = bytes;
  const marked = (a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff) || bytes.readUInt8(0) === 0;
  const sample = bytes.subarray(0, SAMPLE);
  if (marked || sample.includes(0)) {
    // UTF-16 and UTF-32 are full of NULs: count after decoding.
    const text = decodeText(sample);
    return countControls(text.length, (at) => text.charCodeAt(at)) && !text.slice(0, -2).includes('\ufffd\ufffd\ufffd');
  }
  return countControls(sample.length, (at) => sample[at]!);
}

function countControls(length: number, codeAt: (at: number) => number): boolean {
  let controls = 0;
  for (let at = 0; at < length; at += 1) {
    const code = codeAt(at);
    if ((code < 0x20 && !(code >= 0x09 && code <= 0x0d) && code !== 0x1b) || code === 0x7f) controls += 1;
  }
  return controls <= 2 + length * 0.03;
}

/** Formats that are written in letters and yet are no text for a reader. */
function textFormat(bytes: Buffer): string {
  const head = decodeText(bytes.subarray(0, 4096)).trimStart();
  if (head.startsWith('{\\rtf')) return 'rtf';
  if (head.startsWith('%!PS')) return 'ps';
  if (/^(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]*?-->\s*)*(?:<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]/i.test(head)) return 'svg';
  return 'text';
}

const HTML_START =
  /^(?:\ufeff|\s|<!--[\s\S]*?-->|<\?xml[^>]*>)*<(?:!doctype\s+html|html|head|body|title|meta|link|base|script|style|header|main|article|section|nav|table|div|p|h[1-6]|ul|ol|dl|pre|form|center|font|a|b|i|span|img|br|hr|iframe|blockquote)[\s/>]/i;

function textKind(bytes: Buffer, { filename, declared }: TypeHint): ContentType {
  const mime = bareType(declared);
  const extension = extensionOf(filename);
  if (mime === 'text/markdown' || mime === 'text/x-markdown') return 'text/markdown';
  // Senders rarely know Markdown's media type; the name does, and READMEs often begin with a tag.
  if (/^\.(?:md|mdx|markdown|mkd|mdown)$/.test(extension)) return 'text/markdown';
  if (mime === 'text/plain') return 'text/plain';
  if (mime === 'text/html' || mime === 'application/xhtml+xml') return 'text/html';
  if (/^\.x?html?$/.test(extension)) return 'text/html';
  if (extension === '.txt' || extension === '.text') return 'text/plain';
  const head = decodeText(bytes.subarray(0, 2 * SAMPLE));
  return HTML_START.test(head) ? 'text/html' : 'text/plain';
}

function mismatch(promised: ReadonlySet<ContentType>, found: string): PermanentFailure {
  const claimed = [...promised].map(formatName).join(' or ');
  return new PermanentFailure(
    'type_mismatch',
    `The file is named or declared as ${claimed}, but its content is ${seemsToBe(found)}. ${READABLE}`,
  );
}

const bareType = (declared: string | null): string => declared?.split(';')[0]?.trim().toLowerCase() ?? '';

const extensionOf = (filename: string | null): string => extname(filename?.trim() ?? '').toLowerCase();
