import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Archive } from '../../src/ingestion/parsers/archive.js';
import { inputFile, resultFile } from '../../src/ingestion/parsers/parse-protocol.js';
import { bounds, openRange, type Range } from './bomb-range.js';
import { deflated, docx, documentXml, officeFile, paragraph, type Part, sheet, workbook, zip } from './bombs.js';

let range: Range;

// Less memory than a bomb would take, more than the process itself: what is refused must be refused before it is large.
beforeAll(async () => (range = await openRange({ rssMb: 256 })));
afterAll(() => range?.close());

const many = (count: number): Part[] =>
  Array.from({ length: count }, (_, index) => ({ name: `part${index}.xml`, content: '', packed: true }));

/** Parts that share their bytes (Fifield 2019): kilobytes that would unpack to any size. */
const overlapping = (first: readonly Part[] = []): Buffer =>
  zip([
    ...first,
    { name: 'a.xml', content: deflated(100), packed: true },
    ...Array.from({ length: 50 }, (_, index) => ({
      name: `b${index}.xml`,
      content: '',
      packed: true,
      offset: zip([...first]).length,
    })),
  ]);

describe('archives, whatever the format that lives in them', () => {
  it('17: a document.xml that inflates to 73 MB is refused, in little memory', async () => {
    const xml = documentXml(paragraph('Tides.').repeat(1_900_000));
    expect(xml.length).toBeGreaterThan(73_000_000);
    const bomb = docx('', [{ name: 'word/document.xml', content: xml }]);
    expect(bomb.length).toBeLessThan(500_000);
    expect(await range.endOf('bomb.docx', bomb)).toBe('decompression_limit');
  });

  it('18: a part that declares 1 KB and holds 1 GB is refused by counting', async () => {
    const content = deflated(1024);
    const bomb = docx('', [{ name: 'word/document.xml', content, packed: true, declared: 1024 }]);
    expect(await range.endOf('liar.docx', bomb)).toBe('decompression_limit');
    const archive = new Archive(zip([{ name: 'xl/sheet.xml', content, packed: true, declared: 1024 }]), bounds);
    expect(() => archive.read('xl/sheet.xml')).toThrow(expect.objectContaining({ code: 'decompression_limit' }));
  });

  it('18: parts that are each small enough are refused together, and so is a ratio that no document has', () => {
    const parts = Array.from({ length: 12 }, (_, index) => ({ name: `${index}`, content: deflated(18), packed: true }));
    const archive = new Archive(zip(parts), { ...bounds, ratio: 10_000 });
    const all = () => parts.forEach(({ name }) => archive.read(name));
    expect(all).toThrow(expect.objectContaining({ code: 'decompression_limit' }));
    const flat = new Archive(zip([{ name: 'a', content: deflated(2), packed: true }]), bounds);
    expect(() => flat.read('a')).toThrow(expect.objectContaining({ code: 'decompression_limit' }));
  });

  it('19: archives within archives are not opened', async () => {
    let nested = zip([{ name: 'zeros', content: deflated(500), packed: true }]);
    for (let layer = 0; layer < 4; layer += 1)
      nested = zip(Array.from({ length: 16 }, (_, index) => ({ name: `lib ${index}.zip`, content: nested })));
    expect(await range.endOf('42.zip', nested)).toBe('unsupported_type');
    expect(await range.endOf('42.docx', nested)).toBe('type_mismatch');
    expect(await range.endOf('twice.gz', gzipSync(gzipSync(nested)))).toBe('unsupported_type');
    const carrier = docx(paragraph('Outside.'), [{ name: 'word/embeddings/inside.docx', content: nested }]);
    expect(await range.textOf('carrier.docx', carrier)).toBe('Outside.');
  });

  it('20: 100,000 entries are refused without listing them', async () => {
    const parts = many(100_000);
    const open = () => new Archive(officeFile('spreadsheetml.sheet', parts), bounds);
    expect(open).toThrow(expect.objectContaining({ code: 'archive_entry_limit' }));
    expect(await range.endOf('many.xlsx', officeFile('spreadsheetml.sheet', parts))).toBe('archive_entry_limit');
    expect(await range.endOf('many.docx', docx(paragraph('x'), parts))).toBe('archive_entry_limit');
  });

  it('20: entries that overlap are refused', async () => {
    const open = () => new Archive(overlapping(), bounds);
    expect(open).toThrow(expect.objectContaining({ code: 'archive_entry_limit' }));
    expect(await range.endOf('fifield.zip', overlapping())).toBe('unsupported_type');
    expect(await range.endOf('fifield.docx', overlapping())).toBe('archive_entry_limit');
  });

  it('21: names that climb out and symbolic links write nothing', async () => {
    const name = `${basename(range.folder)}.xml`;
    const absolute = join(range.folder, 'absolute.xml');
    const bytes = docx(paragraph('Inside.'), [
      { name: `../${name}`, content: '<x/>' },
      { name: `../../${name}`, content: '<x/>' },
      { name: absolute, content: '<x/>' },
      { name: 'word/link.xml', content: '/etc/passwd', mode: 0o120777 },
    ]);
    expect(await range.textOf('slip.docx', bytes)).toBe('Inside.');
    // A parser works in a folder of its own in the one for temporary files: from there the names climb.
    for (const path of [join(tmpdir(), name), join(dirname(tmpdir()), name), absolute])
      expect(existsSync(path), path).toBe(false);
    const folders = readdirSync(tmpdir()).filter((folder) => folder.startsWith(`lectern-parse-${process.pid}-`));
    const written = folders.flatMap((folder) => readdirSync(join(tmpdir(), folder)));
    expect(written).toContain(resultFile);
    expect(written.filter((file) => ![inputFile, resultFile].includes(file))).toEqual([]);
  });

  it('22: a directory that names other parts than there are is refused', async () => {
    const content = documentXml(paragraph('Which one?'));
    const bytes = docx('', [{ name: 'word/document.xml', localName: 'word/documenu.xml', content }]);
    expect(await range.endOf('mismatch.docx', bytes)).toBe('unreadable_document');
    const twice = docx('', [
      { name: 'word/document.xml', content },
      { name: 'word/document.xml', content },
    ]);
    expect(await range.endOf('twice.docx', twice)).toBe('unreadable_document');
  });

  it('35: a workbook of ten million strings is not unpacked', async () => {
    const strings = { name: 'xl/sharedStrings.xml', content: deflated(400), packed: true };
    const bytes = workbook([sheet('<row><c t="s"><v>0</v></c></row>'), strings]);
    expect(await range.endOf('strings.xlsx', bytes)).toBe('decompression_limit');
    const open = () => new Archive(bytes, bounds).read(strings.name);
    expect(open).toThrow(expect.objectContaining({ code: 'decompression_limit' }));
  });

  it('36: a presentation of 100,000 slides, and a book that goes in circles, end by name', async () => {
    const slides = Array.from({ length: 100_000 }, (_, index) => ({
      name: `ppt/slides/slide${index}.xml`,
      content: '',
      packed: true,
    }));
    const presentation = officeFile('presentationml.presentation', slides);
    expect(() => new Archive(presentation, bounds)).toThrow(expect.objectContaining({ code: 'archive_entry_limit' }));
    expect(await range.endOf('slides.pptx', presentation)).toBe('archive_entry_limit');
    const spine = `<package><manifest><item id="a" href="a.html" media-type="text/html"/></manifest>
      <spine>${'<itemref idref="a"/>'.repeat(10_000)}</spine></package>`;
    const container = '<container><rootfiles><rootfile full-path="content.opf"/></rootfiles></container>';
    const book = zip([
      { name: 'mimetype', content: 'application/epub+zip' },
      { name: 'META-INF/container.xml', content: container },
      { name: 'content.opf', content: spine },
      { name: 'a.html', content: '<p>Once.</p>' },
    ]);
    expect(await range.textOf('circle.epub', book)).toBe('Once.');
  });
});
