import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import { Archive, packStored } from '../../src/ingestion/parsers/archive.js';
import { type ContentType, DOCX, type ParsedDocument } from '../../src/ingestion/parsers/parsed.js';
import { parserFor } from '../../src/ingestion/parsers/registry.js';
import { docx, paragraph } from '../faults/bombs.js';
import { tidesDocx } from './tides.js';

const { bounds } = readConfig({}).parser;

const parse = async (type: ContentType, bytes: Buffer): Promise<ParsedDocument> =>
  (await parserFor(type)).parse(bytes, bounds);

const run = (text: string) => `<m:r><m:t>${text}</m:t></m:r>`;

describe('Word', () => {
  it('takes the title and styles that are based on a heading for headings', async () => {
    const bytes = docx(
      paragraph('Handbook', '<w:pPr><w:pStyle w:val="T"/></w:pPr>') +
        paragraph('Own chapter', '<w:pPr><w:pStyle w:val="Own"/></w:pPr>') +
        paragraph('Words.'),
      [
        {
          name: 'word/styles.xml',
          content: `<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
            <w:style w:type="paragraph" w:styleId="T"><w:name w:val="Title"/></w:style>
            <w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/></w:style>
            <w:style w:type="paragraph" w:styleId="Own"><w:name w:val="Kapitel"/><w:basedOn w:val="H2"/></w:style></w:styles>`,
        },
      ],
    );
    const { title, blocks } = await parse(DOCX, bytes);
    expect(title).toBe('Handbook');
    expect(blocks.map(({ kind, level }) => [kind, level])).toEqual([
      ['heading', 1],
      ['heading', 2],
      ['paragraph', undefined],
    ]);
  });

  it('reads formulas on one line', async () => {
    const power = `<m:sSup><m:e>${run('r')}</m:e><m:sup>${run('2')}</m:sup></m:sSup>`;
    const fraction = `<m:f><m:num>${run('a+b')}</m:num><m:den>${run('c')}</m:den></m:f>`;
    const bytes =
      docx(`<w:p><w:r><w:t>Area: </w:t></w:r><m:oMath>${run('A=π')}${power}</m:oMath><w:r><w:t>and</w:t></w:r></w:p>
      <w:p><m:oMathPara><m:oMath>${fraction}</m:oMath></m:oMathPara></w:p>`);
    expect((await parse(DOCX, bytes)).text).toBe('Area: A=πr^2 and\n\n(a+b)/c');
  });

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
