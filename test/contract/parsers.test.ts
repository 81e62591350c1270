import { Document, HeadingLevel, Packer, Paragraph, Table, TableCell, TableRow } from 'docx';
import PdfWriter from 'pdfkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import { Archive, packStored } from '../../src/ingestion/parsers/archive.js';
import type { ContentType, ParsedDocument } from '../../src/ingestion/parsers/parsed.js';
import { DOCX } from '../../src/ingestion/parsers/parsed.js';
import { contentTypes, parserFor } from '../../src/ingestion/parsers/registry.js';

const { bounds } = readConfig({}).parser;

const TITLE = 'Handbook of Tides';
const BODY = 'The moon pulls the sea — twice a day, naïve reader 😀.';

const parse = async (type: ContentType, bytes: Buffer | string): Promise<ParsedDocument> =>
  (await parserFor(type)).parse(Buffer.from(bytes as string), bounds);

const blockTexts = ({ text, blocks }: ParsedDocument, kind: string): string[] =>
  blocks.filter((block) => block.kind === kind).map(({ start, end }) => text.slice(start, end));

const markdown = `---\ntitle: "${TITLE}"\n---\n# Basics\n\n${BODY}\n\n- one\n- two\n\n| Port | High |\n|---|---|\n| Brest | 04:10 |\n`;

const html = `<!doctype html><title>${TITLE}</title><nav>Menu</nav><main><h1>Basics</h1><p>${BODY}</p><ul><li>one<li>two</ul>
  <table><tr><th>Port<th>High<tr><td>Brest<td>04:10</table></main><footer>Imprint</footer><script>evil()</script>`;

function pdf(draw: (doc: InstanceType<typeof PdfWriter>) => void, options: object = {}): Promise<Buffer> {
  return new Promise((done) => {
    const doc = new PdfWriter({ size: 'A4', ...options });
    const parts: Buffer[] = [];
    doc.on('data', (part: Buffer) => parts.push(part)).on('end', () => done(Buffer.concat(parts)));
    draw(doc);
    doc.end();
  });
}

const tidesPdf = () =>
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

const tidesDocx = () =>
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

describe.each(contentTypes)('a parser of %s', (type) => {
  let parsed: ParsedDocument;

  beforeAll(async () => {
    const samples: Record<ContentType, () => Promise<Buffer>> = {
      'application/pdf': tidesPdf,
      [DOCX]: tidesDocx,
      'text/html': async () => Buffer.from(html),
      'text/markdown': async () => Buffer.from(markdown),
      'text/plain': async () => Buffer.from(`Basics\r\n\r\n${BODY}\0\u00ad\ufeff\n \n\nPort | High\nBrest | 04:10\n`),
    };
    parsed = await parse(type, await samples[type]());
  });

  it('counts offsets that point at its blocks, in order and a blank line apart', () => {
    let end = -2;
    for (const block of parsed.blocks) {
      expect(block.start).toBe(end + 2);
      expect(parsed.text.slice(block.start, block.end).trim()).not.toBe('');
      expect(block.level === undefined).toBe(block.kind !== 'heading');
      end = block.end;
    }
    expect(parsed.text.length).toBe(end);
  });

  it('stores well-formed text without NUL or invisible marks', () => {
    // oxlint-disable-next-line no-control-regex -- the absence of control characters is what is tested
    expect(parsed.text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u00ad\ufeff]|\p{Surrogate}/u);
    expect(parsed.text).toContain('The moon pulls the sea');
  });

  it('keeps the rows of a table together', () => {
    expect(parsed.text).toContain('Port | High\nBrest | 04:10');
    if (type !== 'text/plain') expect(blockTexts(parsed, 'table')[0]).toMatch(/^Port \| High\nBrest \| 04:10/);
  });

  it('knows the header of a table where the format tells it', () => {
    if (type === 'text/plain') return;
    const table = parsed.blocks.find(({ kind }) => kind === 'table');
    expect(parsed.text.slice(table?.header?.start, table?.header?.end)).toBe('Port | High');
    expect(table?.header?.start).toBe(table?.start);
  });

  it('knows title and headings where the format has them', () => {
    if (type === 'text/plain') return expect(parsed.title).toBeNull();
    expect(parsed.title).toBe(TITLE);
    expect(parsed.blocks[0]).toMatchObject({ kind: 'heading', level: 1 });
    expect(blockTexts(parsed, 'heading')).toEqual(['Basics']);
  });

  it('has pages only where the format has them', () => {
    if (type !== 'application/pdf') return expect(parsed.pages).toEqual([]);
    expect(parsed.pages.map(({ page }) => page)).toEqual([1, 2]);
    const [, second] = parsed.pages;
    expect(parsed.text.slice(second?.start, second?.end)).toBe('Second page.');
    expect(parsed.blocks.at(-1)?.page).toBe(2);
  });

  it('refuses a document without any text by name', async () => {
    const empty: Record<ContentType, () => Promise<Buffer>> = {
      'application/pdf': () => pdf((doc) => doc.rect(0, 0, 50, 50).fill()),
      [DOCX]: () => Packer.toBuffer(new Document({ sections: [{ children: [] }] })),
      'text/html': async () => Buffer.from('<script>1</script><p hidden>x</p>'),
      'text/markdown': async () => Buffer.from('---\ntitle: x\n---\n<!-- x -->\n\n![](a.png)'),
      'text/plain': async () => Buffer.from(' \n\t\n\0'),
    };
    const code = type === 'application/pdf' ? 'no_text_layer' : 'empty_document';
    await expect(parse(type, await empty[type]())).rejects.toMatchObject({ code, retryable: false });
  });

  it('refuses more text than its bounds', async () => {
    const parser = await parserFor('text/plain');
    const long = parser.parse(Buffer.from('x'.repeat(2_000)), { ...bounds, textChars: 1_000 });
    await expect(long).rejects.toMatchObject({ code: 'text_limit' });
  });
});

it.each<[ContentType, string]>([
  ['text/html', `<table>${'<tr><td>a<td>b'.repeat(6)}</table>`],
  ['text/markdown', `|a|b|\n|-|-|\n${'|c|d|\n'.repeat(5)}`],
])('a parser of %s refuses more table cells than its bounds', async (type, table) => {
  const parser = await parserFor(type);
  expect((await parser.parse(Buffer.from(table), { ...bounds, cells: 12 })).blocks).toHaveLength(1);
  await expect(parser.parse(Buffer.from(table), { ...bounds, cells: 11 })).rejects.toMatchObject({
    code: 'cell_limit',
  });
});

describe('HTML', () => {
  it('reads nothing hidden, scripted or navigational', async () => {
    const { text } = await parse(
      'text/html',
      `<header>Brand</header><article><header><h1>Tides</h1></header><p>Seen.<span style="display: none">ghost</span>
       <span aria-hidden="true">ghost</span><svg><text>ghost</text></svg></p><template>ghost</template>
       <noscript>ghost</noscript><img alt="ghost" src=x onerror=ghost()><!-- ghost --></article><aside>ghost</aside>`,
    );
    expect(text).toBe('Tides\n\nSeen.');
  });

  it('keeps code as it is, nests lists, reads layout tables as blocks', async () => {
    const { text, blocks } = await parse(
      'text/html',
      '<ul><li>a<ol><li>b</li></ol></li></ul><pre>  x\n    y</pre><table><tr><td><h2>Left</h2>words</td></tr></table>',
    );
    expect(text).toBe('- a\n  1. b\n\n  x\n    y\n\nLeft\n\nwords');
    expect(blocks.map(({ kind }) => kind)).toEqual(['list', 'code', 'heading', 'paragraph']);
  });

  it('ends 100,000 nested elements within a second', async () => {
    const started = performance.now();
    await expect(parse('text/html', '<div>'.repeat(100_000))).rejects.toMatchObject({ code: 'nesting_too_deep' });
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('decodes the charset that a page declares', async () => {
    const bytes = Buffer.concat([Buffer.from('<meta charset="windows-1251"><p>'), Buffer.from('cff0e8e2e5f2', 'hex')]);
    expect((await parse('text/html', bytes)).text).toBe('Привет');
  });
});

describe('tables', () => {
  const captionsOf = ({ text, blocks }: ParsedDocument) =>
    blocks
      .filter(({ kind }) => kind === 'table')
      .map(({ caption }) => caption && text.slice(caption.start, caption.end));

  it('are named by their caption, or by the paragraph right above that says so', async () => {
    const table = '<tr><th>Port<th>High<tr><td>Brest<td>04:10</table>';
    const page = `<table><caption>High water</caption>${table}<p>Table 2: Low water<table>${table}<p>Other words.<table>${table}`;
    expect(captionsOf(await parse('text/html', page))).toEqual(['High water', 'Table 2: Low water', undefined]);
    const markdown = 'The ports are:\n\n|Port|High|\n|-|-|\n|Brest|04:10|\n';
    expect(captionsOf(await parse('text/markdown', markdown))).toEqual(['The ports are:']);
  });

  it('repeat a merged cell wherever it covers, so that each row reads by itself', async () => {
    const { text } = await parse(
      'text/html',
      `<table><tr><th rowspan=2>Port<th colspan=2>High water<tr><th>Spring<th>Neap
       <tr><td rowspan=2>Brest<td>7.1<td>5.4<tr><td colspan=2>no data<tr><td colspan=3>All in metres</table>`,
    );
    expect(text.split('\n')).toEqual([
      'Port | High water | High water',
      'Port | Spring | Neap',
      'Brest | 7.1 | 5.4',
      'Brest | no data | no data',
      'All in metres',
    ]);
  });

  it('have a header only where the first row reads like one', async () => {
    const headerOf = async (rows: string) => {
      const { text, blocks } = await parse('text/html', `<table>${rows}</table>`);
      return blocks[0]?.header && text.slice(blocks[0].header.start, blocks[0].header.end);
    };
    expect(await headerOf('<tr><td>Port<td>High<tr><td>Brest<td>04:10')).toBe('Port | High');
    expect(await headerOf('<tr><td>Brest<td>04:10<tr><td>Dover<td>05:20')).toBeUndefined();
    expect(await headerOf('<tr><th>Port<th>High')).toBeUndefined();
  });
});

describe('Markdown', () => {
  it('keeps the words and drops marks, link targets, images and raw markup', async () => {
    const { text } = await parse(
      'text/markdown',
      '## Tides\n\nSee **the** [sea](http://x.test) ![alt](y.png)<b>now</b>.\n\n> quoted\n\n<script>ghost()</script>\n\n1. one\n   - two',
    );
    expect(text).toBe('Tides\n\nSee the sea now.\n\nquoted\n\n1. one\n  - two');
  });

  it('reads a long text in parts without cutting fenced code', async () => {
    const part = `## Part\n\n${'words of the sea '.repeat(600)}\n\n\`\`\`sh\n# no heading\n\`\`\`\n\n`;
    const parsed = await parse('text/markdown', part.repeat(40));
    expect(blockTexts(parsed, 'heading')).toEqual(Array.from({ length: 40 }, () => 'Part'));
    expect(blockTexts(parsed, 'code')).toEqual(Array.from({ length: 40 }, () => '# no heading'));
  });
});

describe('text encodings', () => {
  it.each([
    ['UTF-16LE', Buffer.from('\ufeffZażółć', 'utf16le'), 'Zażółć'],
    ['UTF-16BE', Buffer.from('\ufeffZażółć', 'utf16le').swap16(), 'Zażółć'],
    ['UTF-32LE', Buffer.from('fffe00004100000000f60100', 'hex'), 'A😀'],
    ['Windows-1252', Buffer.from('93636166e994', 'hex'), '“café”'],
    ['UTF-8 with a broken byte', Buffer.concat([Buffer.from('żółć żółć'), Buffer.from([0xff])]), 'żółć żółć\ufffd'],
    ['a lone surrogate', Buffer.from('fffe410000d84200', 'hex'), 'A\ufffdB'],
  ])('reads %s', async (_, bytes, expected) => {
    expect((await parse('text/plain', bytes)).text).toBe(expected);
  });
});

describe('Word', () => {
  it('refuses what inflates without end, by counting and not by the declared size', async () => {
    const parts = new Archive(await tidesDocx(), bounds);
    const bomb = new Map([...parts.names].map((name) => [name, parts.read(name)!]));
    bomb.set('word/document.xml', Buffer.alloc(21 * 1024 * 1024, 0x20));
    await expect(parse(DOCX, packStored(bomb))).rejects.toMatchObject({ code: 'decompression_limit' });
  });

  it.each([
    ['a DTD', '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><w:document/>', 'unsafe_document'],
    ['50,000 nested elements', `<w:document>${'<w:sdt>'.repeat(50_000)}`, 'nesting_too_deep'],
  ])('refuses %s', async (_, xml, code) => {
    const parts = new Archive(await tidesDocx(), bounds);
    const changed = new Map([...parts.names].map((name) => [name, parts.read(name)!]));
    changed.set('word/document.xml', Buffer.from(xml));
    await expect(parse(DOCX, packStored(changed))).rejects.toMatchObject({ code });
  });

  it('refuses a damaged container', async () => {
    const whole = await tidesDocx();
    await expect(parse(DOCX, whole.subarray(0, whole.length / 2))).rejects.toMatchObject({
      code: 'unreadable_document',
    });
  });
});

const write = (doc: InstanceType<typeof PdfWriter>) => doc.text('Readable by everyone.');

describe('PDF', () => {
  it('opens with an owner password only, and asks for one that readers need', async () => {
    const owned = await parse('application/pdf', await pdf(write, { ownerPassword: 'o', pdfVersion: '1.7' }));
    expect(owned.text).toBe('Readable by everyone.');
    const locked = await pdf(write, { userPassword: 'u', pdfVersion: '1.7' });
    await expect(parse('application/pdf', locked)).rejects.toMatchObject({ code: 'encrypted_document' });
  });

  it('refuses a broken file and too many pages', async () => {
    await expect(parse('application/pdf', '%PDF-1.7\ngarbage')).rejects.toMatchObject({ code: 'unreadable_document' });
    const parser = await parserFor('application/pdf');
    const long = parser.parse(await tidesPdf(), { ...bounds, pages: 1 });
    await expect(long).rejects.toMatchObject({ code: 'page_limit' });
  });

  it('drops running headers and page numbers', async () => {
    const bytes = await pdf((doc) => {
      for (let page = 1; page <= 6; page += 1) {
        if (page > 1) doc.addPage();
        doc.fontSize(8).text('Annual report 2025', 72, 30).text(`${page}`, 300, 740, { lineBreak: false });
        doc.fontSize(11).text(`Words of page ${'abcdef'[page - 1]} about the sea. `.repeat(8), 72, 100);
        doc.text(`Then the ${'xyzuvw'[page - 1]} part ends here.`, 72, 300);
      }
    });
    const { text } = await parse('application/pdf', bytes);
    expect(text).not.toContain('Annual report');
    expect(text).not.toMatch(/^\d$/m);
    expect(text).toContain('Then the w part ends here.');
  });
});
