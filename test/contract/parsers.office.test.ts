import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import { Archive, packStored } from '../../src/ingestion/parsers/archive.js';
import { type ContentType, type ParsedDocument, PPTX, XLSX } from '../../src/ingestion/parsers/parsed.js';
import { parserFor } from '../../src/ingestion/parsers/registry.js';
import {
  book,
  page,
  presentation,
  relations,
  shape,
  sheetData,
  slideTable,
  slideXml,
  TITLE,
  workbook,
} from './tides.js';

const { bounds } = readConfig({}).parser;

const parse = async (type: ContentType, bytes: Buffer): Promise<ParsedDocument> =>
  (await parserFor(type)).parse(bytes, bounds);

const kinds = ({ text, blocks }: ParsedDocument): [string, string][] =>
  blocks.map(({ kind, start, end }) => [kind, text.slice(start, end)]);

const bullet = (text: string, properties: string) =>
  `<a:p><a:pPr ${properties}</a:pPr><a:r><a:t>${text}</a:t></a:r></a:p>`;

const series = (name: string, ...values: string[]) =>
  `<c:ser><c:tx><c:strRef><c:strCache><c:pt idx="0"><c:v>${name}</c:v></c:pt></c:strCache></c:strRef></c:tx>
   <c:cat><c:strRef><c:strCache>${values.map((_, at) => `<c:pt idx="${at}"><c:v>${2019 + at}</c:v></c:pt>`).join('')}</c:strCache></c:strRef></c:cat>
   <c:val><c:numRef><c:numCache>${values.map((value, at) => `<c:pt idx="${at}"><c:v>${value}</c:v></c:pt>`).join('')}</c:numCache></c:numRef></c:val></c:ser>`;

describe('PowerPoint', () => {
  it('reads a slide from its title on: lists, tables, alternative texts, then the notes', async () => {
    const parsed = await parse(
      PPTX,
      presentation(
        [
          shape('body', 'Springs', 'Neaps') +
            shape('title', 'Kinds of', 'tides') +
            shape('sldNum', '7') +
            `<p:pic><p:nvPicPr><p:cNvPr descr="A gauge at low water"/></p:nvPicPr></p:pic>` +
            `<p:pic><p:nvPicPr><p:cNvPr descr="Picture 3"/></p:nvPicPr></p:pic>` +
            `<p:grpSp>${shape(null, bullet('first', '><a:buAutoNum/>'), bullet('inner', 'lvl="1"><a:buChar/>'), bullet('second', '><a:buAutoNum/>'))}</p:grpSp>` +
            slideTable(['Port', 'High'], ['Brest', '04:10']),
        ],
        {
          'ppt/slides/_rels/slide1.xml.rels': relations(['notesSlide', '../notesSlides/notesSlide1.xml']),
          'ppt/notesSlides/notesSlide1.xml': slideXml(shape('sldImg', 'ghost') + shape('body', 'Speak', 'slowly')),
        },
      ),
    );
    expect(kinds(parsed)).toEqual([
      ['heading', 'Kinds of tides'],
      ['list', '- Springs\n- Neaps'],
      ['paragraph', 'A gauge at low water'],
      ['list', '1. first\n  - inner\n2. second'],
      ['table', 'Port | High\nBrest | 04:10'],
      ['heading', 'Notes'],
      ['paragraph', 'Speak'],
      ['paragraph', 'slowly'],
    ]);
    expect(parsed.title).toBe(TITLE);
  });

  it('gives the figures of a chart as a table with its title', async () => {
    const frame =
      '<p:graphicFrame><a:graphic><a:graphicData><c:chart r:id="r1"/></a:graphicData></a:graphic></p:graphicFrame>';
    const parsed = await parse(
      PPTX,
      presentation([frame], {
        'ppt/slides/_rels/slide1.xml.rels': relations(['chart', '../charts/chart1.xml']),
        'ppt/charts/chart1.xml': `<c:chartSpace><c:chart><c:title><a:t>Ducks</a:t></c:title>${series('Wild', '120', '130')}${series('Tame', '80', '95')}</c:chart></c:chartSpace>`,
      }),
    );
    expect(kinds(parsed)).toEqual([
      ['paragraph', 'Ducks'],
      ['table', '| Wild | Tame\n2019 | 120 | 80\n2020 | 130 | 95'],
    ]);
    expect(parsed.blocks[1]).toMatchObject({ caption: { start: 0, end: 5 }, header: { start: 7 } });
  });

  it('leaves out hidden slides and keeps the numbers of the others', async () => {
    const bytes = presentation([shape(null, 'ghost'), shape(null, 'Seen.')], {
      'ppt/slides/slide1.xml': slideXml(shape(null, 'ghost')).replace('<p:sld ', '<p:sld show="0" '),
    });
    const { text, blocks } = await parse(PPTX, bytes);
    expect(text).toBe('Seen.');
    expect(blocks[0]?.page).toBe(2);
  });
});

const cell = (reference: string, value: string, style = 0) => `<c r="${reference}" s="${style}"><v>${value}</v></c>`;

const corner = (at: number) => `<row r="${at}"><c r="A${at}"><v>1</v></c><c r="XFD${at}"><v>2</v></c></row>`;

describe('Excel', () => {
  it('shows numbers and dates as their formats do', async () => {
    const codes = [
      'General',
      '#,##0.00',
      '0.0%',
      'yyyy-mm-dd',
      'd/m/yyyy h:mm',
      '[$€-407] #,##0;[Red]([$€-407] #,##0)',
      '0" t"',
      'h:mm',
    ];
    const styles = `<styleSheet><numFmts>${codes.map((code, at) => `<numFmt numFmtId="${200 + at}" formatCode="${code.replaceAll('"', '&quot;')}"/>`).join('')}</numFmts>
      <cellXfs>${codes.map((_, at) => `<xf numFmtId="${200 + at}"/>`).join('')}</cellXfs></styleSheet>`;
    const values = [cell('A1', '0.1', 0), cell('B1', '1234.5', 1), cell('C1', '0.257', 2), cell('D1', '45292', 3)];
    const more = [cell('E1', '45292.75', 4), cell('F1', '-1234', 5), cell('G1', '12', 6), cell('H1', '0.5', 7)];
    const sheet = `<sheetData><row r="1">${[...values, ...more].join('')}</row></sheetData>`;
    const { text } = await parse(XLSX, workbook({ S: sheet }, { 'xl/styles.xml': styles }));
    expect(text).toBe('S\n\n0.1 | 1,234.50 | 25.7% | 2024-01-01 | 2024-01-01 18:00 | (€ 1,234) | 12 t | 12:00');
  });

  it('reads shared, inline and computed strings without their pronunciation, truths and errors', async () => {
    const strings =
      '<sst><si><t>plain</t></si><si><r><t>東</t></r><r><t>京</t></r><rPh><t>トウキョウ</t></rPh></si></sst>';
    const sheet = `<sheetData><row><c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="b"><v>1</v></c><c t="str"><f>A1</f><v>made</v></c><c t="e"><v>#N/A</v></c></row></sheetData>`;
    const { text } = await parse(XLSX, workbook({ S: sheet }, { 'xl/sharedStrings.xml': strings }));
    expect(text).toBe('S\n\nplain | 東京 | TRUE | made | #N/A');
  });

  it('parts a sheet into its tables, with the title above each as caption', async () => {
    const parsed = await parse(
      XLSX,
      workbook({
        Ports: sheetData(
          ['High water'],
          ['Port', '', 'Hour', 'Depth'],
          ['Brest', '', '04:10', '7'],
          ['Dover', '', '05:20', '9'],
          [''],
          ['Calais', '', '05:40'],
          [''],
          ['All hours are local.'],
        ),
      }),
    );
    expect(kinds(parsed)).toEqual([
      ['heading', 'Ports'],
      ['paragraph', 'High water'],
      ['table', 'Port | Hour | Depth\nBrest | 04:10 | 7\nDover | 05:20 | 9\nCalais | 05:40 |'],
      ['paragraph', 'All hours are local.'],
    ]);
    expect(parsed.blocks[2]).toMatchObject({ caption: { start: 7, end: 17 } });
  });

  it('takes several rows without figures for the header, also with an empty row below them', async () => {
    const parsed = await parse(
      XLSX,
      workbook({
        S: sheetData(
          ['in metres', '', '2024'],
          ['', 'Spring', 'Neap'],
          [''],
          ['Brest', '7.1', '5.4'],
          ['Dover', '6.7', '5.3'],
        ),
      }),
    );
    expect(kinds(parsed)[1]).toEqual([
      'table',
      'in metres | | 2024\n| Spring | Neap\nBrest | 7.1 | 5.4\nDover | 6.7 | 5.3',
    ]);
    const { start, end } = parsed.blocks[1]!.header!;
    expect(parsed.text.slice(start, end)).toBe('in metres | | 2024\n| Spring | Neap');
  });

  it('reads tables side by side one after the other when each has its header', async () => {
    const rows = sheetData(['Port', 'Hour', '', 'Name', 'Depth'], ['Brest', '04:10', '', 'Quay', '7']);
    const { text } = await parse(XLSX, workbook({ S: rows }));
    expect(text).toBe('S\n\nPort | Hour\nBrest | 04:10\n\nName | Depth\nQuay | 7');
  });

  it('repeats merged cells where they cover', async () => {
    const rows = sheetData(['Coast', 'Port', 'Hour'], ['West', 'Brest', '04:10'], ['', 'Nantes', '04:30']);
    const { text } = await parse(XLSX, workbook({ S: `${rows}<mergeCells><mergeCell ref="A2:A3"/></mergeCells>` }));
    expect(text).toBe('S\n\nCoast | Port | Hour\nWest | Brest | 04:10\nWest | Nantes | 04:30');
  });

  it('leaves out hidden sheets', async () => {
    const bytes = workbook({ Ghost: sheetData(['ghost']), Seen: sheetData(['seen']) });
    const archive = new Archive(bytes, bounds);
    const parts = new Map(archive.names.map((name) => [name, archive.read(name)!]));
    const list = parts.get('xl/workbook.xml')!.toString().replace('name="Ghost"', 'name="Ghost" state="veryHidden"');
    parts.set('xl/workbook.xml', Buffer.from(list));
    const { text, blocks } = await parse(XLSX, packStored(parts));
    expect(text).toBe('Seen\n\nseen');
    expect(blocks[0]?.page).toBe(2);
  });

  it('ends by name when merged cells or far corners would fill more places than there may be', async () => {
    const far = `<sheetData>${Array.from({ length: 300 }, (_, at) => corner(at + 1)).join('')}</sheetData>`;
    expect((await parse(XLSX, workbook({ S: far }))).blocks).toHaveLength(2);
    const merged = `${far}<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>`;
    await expect(parse(XLSX, workbook({ S: merged }))).rejects.toMatchObject({ code: 'cell_limit' });
  });
});

const lock = (algorithm: string) => ({
  'META-INF/encryption.xml': `<encryption><EncryptedData><EncryptionMethod Algorithm="${algorithm}"/></EncryptedData></encryption>`,
});

describe('EPUB', () => {
  it('reads authors, then chapters in the order of the spine, named by the table of contents where they have no heading', async () => {
    const metadata = `<dc:title>${TITLE}</dc:title><dc:creator>Ada Sailor</dc:creator><dc:description>&lt;p&gt;About the sea.&lt;/p&gt;</dc:description>`;
    const bytes = book(
      {},
      {
        'OPS/two.xhtml': page('<script src="x.js"/><p>Second words.</p>'),
        'OPS/text/one one.xhtml': page('<h2>First chapter</h2><p>First words.</p>'),
        'OPS/toc.ncx': `<?xml version="1.0"?><!DOCTYPE ncx><ncx><navMap><navPoint><navLabel><text>Chapter two</text></navLabel><content src="two.xhtml#a"/></navPoint></navMap></ncx>`,
        'OPS/book.opf': `<package xmlns:dc="x"><metadata>${metadata}</metadata><manifest>
          <item id="b" href="two.xhtml" media-type="application/xhtml+xml"/>
          <item id="a" href="text/one%20one.xhtml" media-type="application/xhtml+xml"/>
          <item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>
          <spine toc="n"><itemref idref="a"/><itemref idref="b"/><itemref idref="a"/><itemref idref="gone"/></spine></package>`,
      },
    );
    const parsed = await parse('application/epub+zip', bytes);
    expect(parsed.title).toBe(TITLE);
    expect(kinds(parsed)).toEqual([
      ['paragraph', 'Authors: Ada Sailor'],
      ['paragraph', 'About the sea.'],
      ['heading', 'First chapter'],
      ['paragraph', 'First words.'],
      ['heading', 'Chapter two'],
      ['paragraph', 'Second words.'],
    ]);
  });

  it('is refused when its text is locked, and read when only its fonts are', async () => {
    const chapters = { 'one.xhtml': page('<p>Words.</p>') };
    const locked = parse('application/epub+zip', book(chapters, lock('http://www.w3.org/2001/04/xmlenc#aes128-cbc')));
    await expect(locked).rejects.toMatchObject({ code: 'encrypted_document' });
    const fonts = await parse('application/epub+zip', book(chapters, lock('http://www.idpf.org/2008/embedding')));
    expect(fonts.text).toBe('Words.');
  });
});
