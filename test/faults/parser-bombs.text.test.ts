import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parserFor } from '../../src/ingestion/parsers/registry.js';
import { sniff } from '../../src/ingestion/parsers/sniff.js';
import { bounds, openRange, type Range, shortly } from './bomb-range.js';
import { officeFile, sheet, workbook } from './bombs.js';

let range: Range;
let short: Range;

beforeAll(async () => void ([range, short] = await Promise.all([openRange(), openRange(shortly)])));
afterAll(() => Promise.all([range?.close(), short?.close()]));

const mebibyte = 1024 * 1024;

describe('HTML and Markdown', () => {
  it('31: 100,000 nested elements are refused before a tree is built of them', async () => {
    expect(await range.endOf('nested.html', '<div>'.repeat(100_000))).toBe('nesting_too_deep');
  });

  it.each([
    ['5 MB of links that never end', 'a.html', '<a href='.repeat(650_000)],
    ['1 MB of opening brackets', 'a.md', '['.repeat(mebibyte)],
    [
      '100,000 backticks in runs of every length',
      'b.md',
      Array.from({ length: 440 }, (_, n) => '`'.repeat(n)).join(' '),
    ],
    ['100,000 backticks in one run', 'c.md', '`'.repeat(100_000)],
    ['10,000 nested quotes', 'd.md', `${'>'.repeat(10_000)} deep`],
    ['100,000 emphases that never close', 'e.md', '*a_ '.repeat(100_000)],
  ])('32: %s end as text or by name, in time', async (_, name, content) => {
    expect([
      'text',
      'parser_timeout',
      'parser_memory',
      'nesting_too_deep',
      'empty_document',
      'unreadable_document',
    ]).toContain(await short.endOf(name, content));
    expect(await short.textOf('next.txt', 'Next.')).toBe('Next.');
  });

  it('29: front matter named __proto__ changes nothing', async () => {
    const content =
      '---\n__proto__:\n  polluted: yes\nconstructor: {prototype: {polluted: yes}}\ntitle: Fine\n---\nWords.';
    const { title, text } = await (await parserFor('text/markdown')).parse(Buffer.from(content), bounds);
    expect({ title, text }).toEqual({ title: 'Fine', text: 'Words.' });
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  it.each([
    [
      'a.html',
      '<p onclick=x()>Seen</p><script>ghost()</script><img src=x onerror=ghost()><a href="javascript:ghost()">link</a>',
    ],
    ['b.md', 'Seen\n\n<script>ghost()</script>\n\n<img src=x onerror=ghost()>\n\n[link](javascript:ghost())'],
  ])('38: no script and no markup of %s comes out as text', async (name, content) => {
    const text = await range.textOf(name, content);
    expect(text).toContain('Seen');
    expect(text).toContain('link');
    expect(text).not.toMatch(/ghost|javascript|onerror|onclick|[<>]/);
  });

  it('38: a picture made of letters is no document', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="ghost()"><script>ghost()</script><text>x</text></svg>';
    expect(await range.endOf('a.svg', svg)).toBe('unsupported_type');
  });
});

const partWithin = (depth: number) => `Content-Type: multipart/mixed; boundary=b${depth}\r\n\r\n--b${depth}\r\n`;

describe('tables and data', () => {
  it('29: a column or a key named __proto__ is a word among words', async () => {
    expect(await range.textOf('proto.csv', '__proto__,constructor\npolluted,1\n')).toBe(
      '__proto__ | constructor\npolluted | 1',
    );
    expect(await range.textOf('proto.json', '{"__proto__":{"polluted":1}}')).toBe('__proto__\n\npolluted: 1');
    expect(await range.textOf('next.csv', 'a,b\nc,1\n')).toBe('a | b\nc | 1');
  });

  it('33: a line of 50 MiB is refused; a million columns and an open quote end as text', async () => {
    expect(await range.endOf('line.csv', Buffer.alloc(50 * mebibyte, 'a'))).toBe('text_limit');
    expect(await range.endOf('columns.csv', 'a,'.repeat(1_000_000))).toBe('text');
    expect(await range.endOf('quote.csv', `"${'a,b\n'.repeat(100_000)}`)).toBe('text');
    expect(await range.endOf('cells.csv', `${','.repeat(99)}x\n`.repeat(30_000))).toBe('cell_limit');
  });

  it('34: a cell that is a formula is stored as its letters', async () => {
    expect(await range.textOf('formula.csv', '=HYPERLINK("http://x.test"),+cmd')).toBe(
      '=HYPERLINK("http://x.test") | +cmd',
    );
    const formula = sheet('<row><c t="str"><f>HYPERLINK("http://x.test")</f><v>Seen</v></c></row>');
    expect(await range.textOf('formula.xlsx', workbook([formula]))).toBe('S\n\nSeen');
  });

  it('35: a sheet that claims every cell there is costs what it holds', async () => {
    const claim = '<dimension ref="A1:XFD1048576"/>';
    const merged = '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>';
    const bytes = workbook([sheet('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', claim, merged)]);
    expect(await range.textOf('dimension.xlsx', bytes)).toBe('S\n\n1');
    const bare = officeFile('spreadsheetml.sheet', [sheet('<row><c><v>1</v></c></row>', claim)]);
    expect(await range.endOf('bare.xlsx', bare)).toBe('unreadable_document');
  });

  it('33: JSON that nests 100,000 deep, and an email that does, end by name', async () => {
    expect(await range.endOf('deep.json', `${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toBe('nesting_too_deep');
    const mail = `Subject: x\r\n${Array.from({ length: 5_000 }, (_, depth) => partWithin(depth)).join('')}`;
    expect(['text', 'unreadable_document', 'nesting_too_deep']).toContain(await range.endOf('deep.eml', mail));
  });

  it('37: a recording whose header counts by zero is told at once', async () => {
    const asf = Buffer.alloc(55);
    asf.write('3026b2758e66cf11a6d900aa0062ce6c', 'hex');
    asf.writeBigUInt64LE(55n, 16);
    asf.writeUInt32LE(1, 24);
    await expect(sniff(asf, { filename: 'zero.asf', declared: null }, bounds)).rejects.toThrow('cannot be read here');
    expect(await range.endOf('zero.asf', asf)).toBe('unsupported_type');
  });
});
