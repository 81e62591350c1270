import { fileTypeFromBuffer } from 'file-type';
import { PermanentFailure } from '../../errors.js';
import { Archive } from './archive.js';
import { decodeText } from './decode.js';
import { formatName, READABLE, seemsToBe } from './format-names.js';
import { PDF, promisedBy, textTypeOf, type TypeHint } from './media-types.js';
import { type ContentType, DOCX, FEED, PPTX, type ReadBounds, XLSX } from './parsed.js';

const SAMPLE = 64 * 1024;
const IN_ZIP: ReadonlySet<string> = new Set([DOCX, PPTX, XLSX, 'application/epub+zip']);

/**
 * Tells what a file is from its bytes; `bytes` must be the whole file. The hint only chooses between kinds of text, and
 * is a promise when it names a binary format: such files must be what they claim.
 * Throws `PermanentFailure`: `empty_file`, `unsupported_type`, `type_mismatch`, `encrypted_document`.
 */
export async function sniff(bytes: Buffer, hint: TypeHint, bounds: ReadBounds): Promise<ContentType> {
  if (bytes.length === 0) throw new PermanentFailure('empty_file', 'The file is empty: it holds no bytes at all.');
  const promised = promisedBy(hint);
  const found = await identify(bytes, promised, bounds);
  if (found === 'text') {
    if (promised.size > 0) throw mismatch(promised, 'text');
    return textKind(bytes, hint);
  }
  if (found !== PDF && !IN_ZIP.has(found)) {
    if (promised.size > 0) throw mismatch(promised, found);
    throw new PermanentFailure(
      'unsupported_type',
      `This is ${seemsToBe(found)}, which cannot be read here. Upload ${READABLE}.`,
    );
  }
  if (promised.size > 0 && !promised.has(found as ContentType)) throw mismatch(promised, found);
  return found as ContentType;
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
  let mimetype: string;
  try {
    const archive = new Archive(bytes, bounds);
    types = archive.read('[Content_Types].xml')?.toString('utf8') ?? '';
    mimetype = archive.read('mimetype')?.toString('latin1', 0, 100).trim() ?? '';
  } catch (error) {
    // A damaged office file is for its parser to refuse, with its own reason; any other archive is not ours to open.
    for (const type of promised) if (IN_ZIP.has(type)) return type;
    return error instanceof PermanentFailure && error.code !== 'unreadable_document' ? 'zip' : 'damaged-zip';
  }
  if (/wordprocessingml\.(?:document|template)\.main\+xml|ms-word\.(?:document|template)\.macroEnabled/i.test(types))
    return DOCX;
  if (/ms-excel\.sheet\.binary/i.test(types)) return 'xlsb';
  if (/spreadsheetml\.(?:sheet|template)\.main|ms-excel\.\w+\.macroEnabled/i.test(types)) return XLSX;
  if (/presentationml\.\w+\.main|ms-powerpoint\.\w+\.macroEnabled/i.test(types)) return PPTX;
  if (mimetype === 'application/epub+zip') return mimetype;
  return mimetype.startsWith('application/vnd.oasis.opendocument.') ? 'opendocument' : 'zip';
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

const FEED_START = /^(?:\ufeff|\s|<!--[\s\S]*?-->|<\?[^>]*>)*<(?:rss|feed|rdf:RDF)[\s>]/i;

function textKind(bytes: Buffer, hint: TypeHint): ContentType {
  const known = textTypeOf(hint);
  if (known) return known;
  const head = decodeText(bytes.subarray(0, 2 * SAMPLE));
  if (FEED_START.test(head)) return FEED;
  return HTML_START.test(head) ? 'text/html' : 'text/plain';
}

function mismatch(promised: ReadonlySet<ContentType>, found: string): PermanentFailure {
  const claimed = [...promised].map(formatName).join(' or ');
  return new PermanentFailure(
    'type_mismatch',
    `The file is named or declared as ${claimed}, but its content is ${seemsToBe(found)}. Upload ${READABLE}.`,
  );
}
