import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parserFor } from '../../src/ingestion/parsers/registry.js';
import { bounds, openRange, type Range } from './bomb-range.js';
import { officeFile } from './bombs.js';

let range: Range;

beforeAll(async () => (range = await openRange({ timeoutMs: 10_000 })));
afterAll(() => range?.close());

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
    ]).toContain(await range.endOf(name, content));
    expect(await range.textOf('next.txt', 'Next.')).toBe('Next.');
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

describe('tables as text, until they have readers of their own', () => {
  it('29: a column named __proto__ is a word among words', async () => {
    expect(await range.textOf('proto.csv', '__proto__,constructor\npolluted,1\n')).toBe(
      '__proto__,constructor\npolluted,1',
    );
    expect(await range.textOf('proto.json', '{"__proto__":{"polluted":1}}')).toBe('{"__proto__":{"polluted":1}}');
  });

  it('33: a line of 50 MiB is refused; a million columns and an open quote end as text', async () => {
    expect(await range.endOf('line.csv', Buffer.alloc(50 * mebibyte, 'a'))).toBe('text_limit');
    expect(await range.endOf('columns.csv', 'a,'.repeat(1_000_000))).toBe('text');
    expect(await range.endOf('quote.csv', `"${'a,b\n'.repeat(100_000)}`)).toBe('text');
  });

  it('34: a cell that is a formula is stored as its letters', async () => {
    expect(await range.textOf('formula.csv', '=HYPERLINK("http://x.test"),+cmd')).toBe(
      '=HYPERLINK("http://x.test"),+cmd',
    );
  });

  it('35: a sheet that claims every cell there is ends by name', async () => {
    const sheet =
      '<worksheet><dimension ref="A1:XFD1048576"/><sheetData><row><c><v>1</v></c></row></sheetData></worksheet>';
    const bytes = officeFile('spreadsheetml.sheet', [{ name: 'xl/worksheets/sheet1.xml', content: sheet }]);
    expect(await range.endOf('dimension.xlsx', bytes)).toBe('unsupported_type');
  });

  it('37: a recording whose header counts by zero is told at once', async () => {
    const asf = Buffer.alloc(55);
    asf.write('3026b2758e66cf11a6d900aa0062ce6c', 'hex');
    asf.writeBigUInt64LE(55n, 16);
    asf.writeUInt32LE(1, 24);
    expect(await range.endOf('zero.asf', asf)).toBe('unsupported_type');
  });
});
