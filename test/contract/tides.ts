import { Document, HeadingLevel, Packer, Paragraph, Table, TableCell, TableRow } from 'docx';
import PdfWriter from 'pdfkit';
import { packStored } from '../../src/ingestion/parsers/archive.js';
import { type ContentType, DOCX, FEED, NOTEBOOK, PPTX, XLSX } from '../../src/ingestion/parsers/parsed.js';

// One small document, "Handbook of Tides", in every format that is read.

export const TITLE = 'Handbook of Tides';
export const BODY = 'The moon pulls the sea — twice a day, naïve reader 😀.';

export function pdf(draw: (doc: InstanceType<typeof PdfWriter>) => void, options: object = {}): Promise<Buffer> {
  return new Promise((done) => {
    const doc = new PdfWriter({ size: 'A4', ...options });
    const parts: Buffer[] = [];
    doc.on('data', (part: Buffer) => parts.push(part)).on('end', () => done(Buffer.concat(parts)));
    draw(doc);
    doc.end();
  });
}

export const tidesPdf = () =>
  pdf(
    (doc) => {
      doc.fontSize(20).text('Basics').moveDown();
      doc.fontSize(11).text('The moon pulls the sea twice a day. '.repeat(12)).moveDown();
      for (const [left, right] of [
        ['Port', 'High'],
        ['Brest', '04:10'],
        ['Dover', '05:20'],
      ]) {
        const { y } = doc;
        doc.text(left!, 72, y, { lineBreak: false });
        doc.text(right!, 300, y);
      }
      doc.addPage().text('Second page.', 72, 72);
    },
    { info: { Title: TITLE } },
  );

const row = (...cells: string[]) =>
  new TableRow({ children: cells.map((cell) => new TableCell({ children: [new Paragraph(cell)] })) });

export const tidesDocx = () =>
  Packer.toBuffer(
    new Document({
      title: TITLE,
      sections: [
        {
          children: [
            new Paragraph({ text: 'Basics', heading: HeadingLevel.HEADING_1 }),
            new Paragraph(BODY),
            new Table({ rows: [row('Port', 'High'), row('Brest', '04:10')] }),
          ],
        },
      ],
    }),
  );

const office = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';

/** The relations of a part, `[type, target]`; their ids are r1, r2, … */
export const relations = (...all: [string, string][]): string =>
  `<Relationships>${all
    .map(([type, target], at) => `<Relationship Id="r${at + 1}" Type="${office}/${type}" Target="${target}"/>`)
    .join('')}</Relationships>`;

export const container = (parts: Record<string, string>): Buffer =>
  packStored(new Map(Object.entries(parts).map(([name, content]) => [name, Buffer.from(content)])));

const properties = `<cp:coreProperties xmlns:dc="x"><dc:title>${TITLE}</dc:title></cp:coreProperties>`;

/** A workbook of sheets, by name: the inside of each `<worksheet>`; `parts` are added or replaced. */
export function workbook(sheets: Record<string, string>, parts: Record<string, string> = {}): Buffer {
  const names = Object.keys(sheets);
  const list = names.map((name, at) => `<sheet name="${name}" sheetId="${at + 1}" r:id="r${at + 1}"/>`).join('');
  return container({
    '[Content_Types].xml': `<Types><Override ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>`,
    '_rels/.rels': relations(['officeDocument', 'xl/workbook.xml']),
    'xl/workbook.xml': `<workbook xmlns:r="${office}"><sheets>${list}</sheets></workbook>`,
    'xl/_rels/workbook.xml.rels': relations(
      ...names.map((_, at): [string, string] => ['worksheet', `worksheets/sheet${at + 1}.xml`]),
      ['sharedStrings', 'sharedStrings.xml'],
      ['styles', 'styles.xml'],
    ),
    ...Object.fromEntries(
      names.map((name, at) => [`xl/worksheets/sheet${at + 1}.xml`, `<worksheet>${sheets[name]}</worksheet>`]),
    ),
    'docProps/core.xml': properties,
    ...parts,
  });
}

const sheetCell = (text: string, column: number, at: number) =>
  text === '' ? '' : `<c r="${String.fromCharCode(65 + column)}${at + 1}" t="inlineStr"><is><t>${text}</t></is></c>`;

/** `<sheetData>` of rows of texts; an empty text is no cell. */
export const sheetData = (...rows: string[][]): string => {
  const lines = rows.map(
    (cells, at) => `<row r="${at + 1}">${cells.map((text, c) => sheetCell(text, c, at)).join('')}</row>`,
  );
  return `<sheetData>${lines.join('')}</sheetData>`;
};

/** A presentation of slides: the inside of each shape tree; `parts` are added or replaced. */
export function presentation(slides: string[], parts: Record<string, string> = {}): Buffer {
  const list = slides.map((_, at) => `<p:sldId id="${256 + at}" r:id="r${at + 1}"/>`).join('');
  return container({
    '[Content_Types].xml': `<Types><Override ContentType="application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"/></Types>`,
    '_rels/.rels': relations(['officeDocument', 'ppt/presentation.xml']),
    'ppt/presentation.xml': `<p:presentation xmlns:r="${office}"><p:sldIdLst>${list}</p:sldIdLst></p:presentation>`,
    'ppt/_rels/presentation.xml.rels': relations(
      ...slides.map((_, at): [string, string] => ['slide', `slides/slide${at + 1}.xml`]),
    ),
    ...Object.fromEntries(slides.map((slide, at) => [`ppt/slides/slide${at + 1}.xml`, slideXml(slide)])),
    'docProps/core.xml': properties,
    ...parts,
  });
}

export const slideXml = (tree: string): string =>
  `<p:sld xmlns:r="${office}"><p:cSld><p:spTree>${tree}</p:spTree></p:cSld></p:sld>`;

/** A shape with paragraphs, in a placeholder of this type, or a text box. */
export const shape = (type: string | null, ...paragraphs: string[]): string =>
  `<p:sp><p:nvSpPr><p:cNvPr/><p:nvPr>${type === null ? '' : `<p:ph type="${type}"/>`}</p:nvPr></p:nvSpPr><p:txBody>${paragraphs
    .map((text) => (text.startsWith('<') ? text : `<a:p><a:r><a:t>${text}</a:t></a:r></a:p>`))
    .join('')}</p:txBody></p:sp>`;

const slideCell = (text: string) => `<a:tc><a:txBody><a:p><a:r><a:t>${text}</a:t></a:r></a:p></a:txBody></a:tc>`;

export const slideTable = (...rows: string[][]): string => {
  const lines = rows.map((cells) => `<a:tr>${cells.map(slideCell).join('')}</a:tr>`).join('');
  return `<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tblPr firstRow="1"/>${lines}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>`;
};

/** A book of chapters by part name; `parts` are added or replaced. */
export function book(chapters: Record<string, string>, parts: Record<string, string> = {}): Buffer {
  const names = Object.keys(chapters);
  const items = names.map((name, at) => `<item id="i${at}" href="${name}" media-type="application/xhtml+xml"/>`);
  const spine = names.map((_, at) => `<itemref idref="i${at}"/>`);
  return container({
    mimetype: 'application/epub+zip',
    'META-INF/container.xml': '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>',
    'OPS/book.opf': `<package xmlns:dc="x"><metadata><dc:title>${TITLE}</dc:title></metadata>
      <manifest>${items.join('')}</manifest><spine>${spine.join('')}</spine></package>`,
    ...Object.fromEntries(names.map((name) => [`OPS/${name}`, chapters[name]!])),
    ...parts,
  });
}

export const page = (body: string): string =>
  `<?xml version="1.0"?><!DOCTYPE html><html><head><title/></head><body>${body}</body></html>`;

const table = '<table><tr><th>Port</th><th>High</th></tr><tr><td>Brest</td><td>04:10</td></tr></table>';
const markdown = `---\ntitle: "${TITLE}"\n---\n# Basics\n\n${BODY}\n\n- one\n- two\n\n| Port | High |\n|---|---|\n| Brest | 04:10 |\n`;

export const samples: Record<ContentType, () => Promise<Buffer>> = {
  'application/pdf': tidesPdf,
  [DOCX]: tidesDocx,
  [PPTX]: async () =>
    presentation([
      shape('title', 'Basics') + shape(null, BODY) + slideTable(['Port', 'High'], ['Brest', '04:10']),
      shape(null, 'Second page.'),
    ]),
  [XLSX]: async () =>
    workbook({
      Basics: sheetData([BODY], [''], ['Port', 'High'], ['Brest', '04:10']),
      More: sheetData(['Second page.']),
    }),
  'application/epub+zip': async () => book({ 'one.xhtml': page(`<h1>Basics</h1><p>${BODY}</p>${table}`) }),
  'application/json': async () =>
    Buffer.from(
      JSON.stringify({
        title: TITLE,
        Basics: [BODY],
        Ports: [
          { Port: 'Brest', High: '04:10' },
          { Port: 'Dover', High: '05:20' },
        ],
      }),
    ),
  [NOTEBOOK]: async () =>
    Buffer.from(
      JSON.stringify({
        nbformat: 4,
        metadata: { title: TITLE },
        cells: [
          { cell_type: 'markdown', source: markdown.split(/(?<=\n)/) },
          {
            cell_type: 'code',
            source: 'print("high")',
            outputs: [{ text: ['04:10\n'] }, { data: { 'image/png': 'aGk=' } }],
          },
        ],
      }),
    ),
  [FEED]: async () =>
    Buffer.from(
      `<rss xmlns:content="x"><channel><title>${TITLE}</title><item><title>Basics</title>
       <description>Too short.</description><content:encoded><![CDATA[<p>${BODY}</p>${table}]]></content:encoded></item></channel></rss>`,
    ),
  'message/rfc822': async () =>
    Buffer.from(
      `From: Ada <ada@x.test>\r\nSubject: ${TITLE}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<h2>Basics</h2><p>${BODY}</p>${table}`,
    ),
  'text/csv': async () => Buffer.from(`Port,High\r\nBrest,04:10\r\n"${BODY}",05:20\r\n`),
  'text/html': async () =>
    Buffer.from(
      `<!doctype html><title>${TITLE}</title><nav>Menu</nav><main><h1>Basics</h1><p>${BODY}</p><ul><li>one<li>two</ul>
       ${table}</main><footer>Imprint</footer><script>evil()</script>`,
    ),
  'text/markdown': async () => Buffer.from(markdown),
  'text/mdx': async () => Buffer.from(markdown.replace('# Basics', 'import X from "x"\n\n# Basics\n\n<X a={{b: 1}}>')),
  'text/plain': async () => Buffer.from(`Basics\r\n\r\n${BODY}\0\u00ad\ufeff\n \n\nPort | High\nBrest | 04:10\n`),
};
