import { describe, expect, it } from 'vitest';
import { packStored } from '../../src/ingestion/parsers/archive.js';
import { DOCX, FEED, NOTEBOOK, PPTX, XLSX } from '../../src/ingestion/parsers/parsed.js';
import { readConfig } from '../../src/config.js';
import { sniff } from '../../src/ingestion/parsers/sniff.js';

const pdf = Buffer.from('%PDF-1.7\n1 0 obj\n<<>>\nendobj\n');
const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');
const exe = Buffer.concat([Buffer.from('MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0', 'latin1'), Buffer.alloc(200)]);

const officeFile = (part: string): Buffer =>
  packStored(
    new Map([['[Content_Types].xml', Buffer.from(`<Types><Override ContentType="application/${part}"/></Types>`)]]),
  );
const docx = officeFile('vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml');
const xlsx = officeFile('vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml');
const pptx = officeFile('vnd.openxmlformats-officedocument.presentationml.presentation.main+xml');
const epub = packStored(new Map([['mimetype', Buffer.from('application/epub+zip')]]));
const xlsb = officeFile('vnd.ms-excel.sheet.binary.macroEnabled.main');

const ole = (...streams: string[]): Buffer =>
  Buffer.concat([
    Buffer.from('d0cf11e0a1b11ae1', 'hex'),
    Buffer.alloc(600),
    Buffer.from(streams.join('\0'), 'utf16le'),
  ]);

const kindOf = (bytes: Buffer | string, filename: string | null = null, declared: string | null = null) =>
  sniff(Buffer.from(bytes as string), { filename, declared }, readConfig({}).parser.bounds);

describe('sniff', () => {
  it.each([
    ['a PDF by its bytes', pdf, 'notes.txt', 'text/plain', 'application/pdf'],
    ['a PDF behind a little junk', Buffer.concat([Buffer.from('junk\n'), pdf]), null, null, 'application/pdf'],
    ['a Word file by its content types', docx, 'x.bin', null, DOCX],
    ['an Excel file by its content types', xlsx, 'x.bin', null, XLSX],
    ['an Excel file that is named as a table', xlsx, 'x.csv', 'text/csv', XLSX],
    ['a PowerPoint file by its content types', pptx, 'x.pptx', 'application/octet-stream', PPTX],
    ['a book by its first part', epub, null, null, 'application/epub+zip'],
    ['HTML that begins like HTML', '  <!-- c --><!DOCTYPE html><p>x', null, null, 'text/html'],
    ['HTML by its declaration', 'just words', null, 'text/html; charset=utf-8', 'text/html'],
    ['HTML sent as plain text, as text', '<!doctype html><p>x', 'page.html', 'text/plain', 'text/plain'],
    ['Markdown by its name, even behind a tag', '<h1>Read me</h1>\n\n# x', 'README.md', 'text/plain', 'text/markdown'],
    ['Markdown by its declaration', '# x', null, 'text/markdown', 'text/markdown'],
    ['MDX by its name', '# x', 'page.mdx', 'text/plain', 'text/mdx'],
    ['a table by its name', 'a,b\n1,2', 'table.csv', 'text/plain', 'text/csv'],
    ['a table by its declaration', 'a\tb\n1\t2', null, 'text/tab-separated-values; charset=utf-8', 'text/csv'],
    ['JSON by its name', '{}', 'a.json', 'application/octet-stream', 'application/json'],
    ['JSON by its declaration', '[1]', null, 'application/json', 'application/json'],
    ['a notebook by its name', '{}', 'a.ipynb', 'application/octet-stream', NOTEBOOK],
    ['a feed by its beginning', '<?xml version="1.0"?>\n<rss version="2.0">', 'news.xml', 'text/xml', FEED],
    ['a feed by its declaration', '<x/>', null, 'application/atom+xml', FEED],
    ['an email by its name', 'Subject: x\n\ny', 'a.eml', null, 'message/rfc822'],
    ['unknown text as plain text', 'a,b\n1,2', 'table.xyz', 'application/x-table', 'text/plain'],
    ['text that mentions the mark of a PDF', 'A file starts with %PDF-1.7, always.', null, null, 'text/plain'],
    ['text whose first letters are a magic number', 'BMW and MZ are letters', null, null, 'text/plain'],
    ['text with a stray NUL', 'a\0b', 'a.txt', null, 'text/plain'],
    ['UTF-16 text', Buffer.from('\ufeffhello world', 'utf16le'), 'a.txt', null, 'text/plain'],
    ['Windows-1252 text', Buffer.from([0x63, 0x61, 0x66, 0xe9]), 'a.txt', null, 'text/plain'],
  ])('takes %s', async (_, bytes, filename, declared, expected) => {
    expect(await kindOf(bytes, filename, declared)).toBe(expected);
  });

  it.each([
    ['an empty file', '', 'a.pdf', null, 'empty_file', /empty/],
    ['a program named .pdf', exe, 'invoice.pdf', null, 'type_mismatch', /a PDF.*a Windows program/],
    ['a picture named .docx', png, 'letter.docx', null, 'type_mismatch', /a Word document.*an image \(PNG\)/],
    ['text declared as PDF', 'Not found', 'x', 'application/pdf', 'type_mismatch', /a PDF.*plain text/],
    [
      'noise named .pdf',
      Buffer.from([0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [n, 255 - n])),
      'a.pdf',
      null,
      'type_mismatch',
      /a PDF/,
    ],
    ['a workbook named .docx', xlsx, 'a.docx', null, 'type_mismatch', /an Excel workbook/],
    ['a program', exe, 'setup.exe', null, 'unsupported_type', /a Windows program/],
    ['a picture', png, 'a.png', 'image/png', 'unsupported_type', /an image/],
    ['a workbook of the binary format', xlsb, 'a.xlsb', null, 'unsupported_type', /binary format/],
    ['a picture named .xlsx', png, 'a.xlsx', null, 'type_mismatch', /an Excel workbook.*an image/],
    [
      'an archive',
      packStored(new Map([['a.txt', Buffer.from('a')]])),
      'a.zip',
      null,
      'unsupported_type',
      /a ZIP archive/,
    ],
    [
      'an archive with a PDF in its first kilobyte',
      packStored(new Map([['a.pdf', pdf]])),
      null,
      null,
      'unsupported_type',
      /ZIP/,
    ],
    ['an old Word document', ole('Root Entry', 'WordDocument'), 'a.doc', null, 'unsupported_type', /old format/],
    ['an old workbook', ole('Workbook'), 'a.xls', null, 'unsupported_type', /Excel/],
    ['rich text', '{\\rtf1 hello}', 'a.rtf', null, 'unsupported_type', /Rich Text/],
    ['an SVG image', '<?xml version="1.0"?><svg><script>1</script></svg>', 'a.svg', null, 'unsupported_type', /SVG/],
    [
      'a protected Word document',
      ole('EncryptionInfo', 'EncryptedPackage'),
      'a.docx',
      null,
      'encrypted_document',
      /password/,
    ],
  ])('refuses %s', async (_, bytes, filename, declared, code, message) => {
    await expect(kindOf(bytes, filename, declared)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it('answers at once for the 55 bytes that held file-type in a loop (CVE-2026-31808)', async () => {
    const asf = Buffer.concat([Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex'), Buffer.alloc(39)]);
    await expect(kindOf(asf, 'a.wmv')).rejects.toMatchObject({ code: 'unsupported_type' });
  });
});
