import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import type { ContentType, ParsedDocument } from '../../src/ingestion/parsers/parsed.js';
import { parserFor } from '../../src/ingestion/parsers/registry.js';

const { bounds } = readConfig({}).parser;

const parse = async (type: ContentType, bytes: Buffer | string): Promise<ParsedDocument> =>
  (await parserFor(type)).parse(Buffer.from(bytes as string), bounds);

const blockTexts = ({ text, blocks }: ParsedDocument, kind: string): string[] =>
  blocks.filter((block) => block.kind === kind).map(({ start, end }) => text.slice(start, end));

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

  it('drops menus that are only named so, but nothing else that is full of links or named alike', async () => {
    const links = '<ul><li><a href=/a>One</a><li><a href=/b>Two</a></ul>';
    const { text } = await parse(
      'text/html',
      `<a class="skip-link" href="#main">Skip to content</a><div class="site-menu">${links}</div>
       <div id="p-lang">${links}</div><div class="menu"><p>Our menu has fish of the day.</p></div>
       <h1>Index</h1>${links}`,
    );
    expect(text).toBe('Our menu has fish of the day.\n\nIndex\n\n- One\n- Two');
  });

  it('keeps code as it is, nests lists, reads layout tables as blocks', async () => {
    const { text, blocks } = await parse(
      'text/html',
      '<ul><li>a<ol><li>b</li></ol></li></ul><pre>  x\n    y</pre><table><tr><td><h2>Left</h2>words</td></tr></table>',
    );
    expect(text).toBe('- a\n  1. b\n\n  x\n    y\n\nLeft\n\nwords');
    expect(blocks.map(({ kind }) => kind)).toEqual(['list', 'code', 'heading', 'paragraph']);
  });

  it('refuses 100,000 nested elements', async () => {
    await expect(parse('text/html', '<div>'.repeat(100_000))).rejects.toMatchObject({ code: 'nesting_too_deep' });
  });

  it('decodes the charset that a page declares', async () => {
    const bytes = Buffer.concat([Buffer.from('<meta charset="windows-1251"><p>'), Buffer.from('cff0e8e2e5f2', 'hex')]);
    expect((await parse('text/html', bytes)).text).toBe('Привет');
  });
});

const captionsOf = ({ text, blocks }: ParsedDocument) =>
  blocks.filter(({ kind }) => kind === 'table').map(({ caption }) => caption && text.slice(caption.start, caption.end));

const headerOf = async (rows: string) => {
  const { text, blocks } = await parse('text/html', `<table>${rows}</table>`);
  return blocks[0]?.header && text.slice(blocks[0].header.start, blocks[0].header.end);
};

describe('tables', () => {
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
