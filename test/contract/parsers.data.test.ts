import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import { type ContentType, FEED, NOTEBOOK, type ParsedDocument } from '../../src/ingestion/parsers/parsed.js';
import { parserFor } from '../../src/ingestion/parsers/registry.js';

const { bounds } = readConfig({}).parser;

const parse = async (type: ContentType, bytes: Buffer | string): Promise<ParsedDocument> =>
  (await parserFor(type)).parse(Buffer.from(bytes as string), bounds);

const kinds = ({ text, blocks }: ParsedDocument): [string, string][] =>
  blocks.map(({ kind, start, end }) => [kind, text.slice(start, end)]);

describe('MDX', () => {
  it('drops imports, exports, expressions and the tags of components, and keeps what stands between them', async () => {
    const parsed = await parse(
      'text/mdx',
      `---
title: Tides for sailors
---
import { Note, Tabs } from '../components'
import Chart from './chart'

export const meta = {
  a: 'import nothing',
}

# Tides {/* a comment */}

<Note type="info" icon={<Icon name="x > y" />}>
  The moon pulls **twice** a day, a < b.

      Four spaces in are no code here.
</Note>

<Tabs items={['a', "b"]}><Tab>Inside{' '}of it.</Tab></Tabs>

Press <Kbd>Ctrl</Kbd> and {props.key}, or \\{braces\\}, or \`<Code a={1}>\`.

\`\`\`jsx
import React from 'react'
<App value={1} />
\`\`\`

export controls are words at the start of a sentence.
`,
    );
    expect(parsed.title).toBe('Tides for sailors');
    expect(kinds(parsed)).toEqual([
      ['heading', 'Tides'],
      ['paragraph', 'The moon pulls twice a day, a < b.'],
      ['paragraph', 'Four spaces in are no code here.'],
      ['paragraph', 'Inside of it.'],
      ['paragraph', 'Press Ctrl and , or {braces}, or <Code a={1}>.'],
      ['code', "import React from 'react'\n<App value={1} />"],
      ['paragraph', 'export controls are words at the start of a sentence.'],
    ]);
  });

  it('reads line ends of Windows', async () => {
    const { title, text } = await parse(
      'text/mdx',
      "---\r\ntitle: T\r\n---\r\nimport A from 'a'\r\n\r\n<A>\r\nWords.\r\n</A>\r\n",
    );
    expect([title, text]).toEqual(['T', 'Words.']);
  });

  it.each(['{'.repeat(200_000), '<A '.repeat(100_000), '`'.repeat(100_000), '<A b="'.repeat(50_000)])(
    'ends what never closes as text, in time (%#)',
    async (content) => {
      expect((await parse('text/mdx', `Words.\n\n${content}`)).text).toContain('Words.');
    },
    20_000,
  );
});

describe('CSV', () => {
  it.each([
    ['commas', 'Port,High\n"Brest, old",04:10\nDover,05:20'],
    ['semicolons', 'Port;High\nBrest, old;04:10\nDover;05:20'],
    ['tabs', 'Port\tHigh\nBrest, old\t04:10\nDover\t05:20'],
    ['bars', 'Port|High\nBrest, old|04:10\nDover|05:20'],
    ['a mark of what parts cells', 'sep=;\nPort;High\nBrest, old;04:10\nDover;05:20'],
    ['empty lines and rows that end early', 'Port,High,Low\n\n"Brest, old",04:10\nDover,05:20\n'],
  ])('reads cells between %s', async (_, csv) => {
    const parsed = await parse('text/csv', csv);
    expect(parsed.text).toMatch(/^Port \| High( \| Low)?\nBrest, old \| 04:10\nDover \| 05:20$/);
    expect(parsed.blocks).toMatchObject([{ kind: 'table', header: { start: 0 } }]);
  });

  it('has no header where the first row holds figures', async () => {
    const [table] = (await parse('text/csv', '1,2\n3,4\n5,6\n')).blocks;
    expect(table?.header).toBeUndefined();
  });

  it('keeps a line break within a cell in its row, and reads Japanese of the old kind', async () => {
    expect((await parse('text/csv', 'a,b\n"one\ntwo",3\n')).text).toBe('a | b\none two | 3');
    const shiftJis = Buffer.from('96bc914f2c944e97ee0a8db293a191be98592c33300a', 'hex');
    expect((await parse('text/csv', shiftJis)).text).toBe('名前 | 年齢\n佐藤太郎 | 30');
  });
});

describe('a notebook', () => {
  it('reads prose as Markdown, and programs with what they printed as code', async () => {
    const cells = [
      { cell_type: 'markdown', source: ['# Tides\n', '\n', 'The *moon* pulls.'] },
      {
        cell_type: 'code',
        source: 'print("high")',
        outputs: [{ text: ['04:10\n', '05:20\n'] }, { data: { 'text/plain': '42', 'image/png': 'aGk=' } }],
      },
      { cell_type: 'raw', source: 'As it is.' },
    ];
    const parsed = await parse(NOTEBOOK, JSON.stringify({ nbformat: 4, metadata: {}, cells }));
    expect(parsed.title).toBe('Tides');
    expect(kinds(parsed)).toEqual([
      ['heading', 'Tides'],
      ['paragraph', 'The moon pulls.'],
      ['code', 'print("high")'],
      ['code', '04:10\n05:20'],
      ['code', '42'],
      ['paragraph', 'As it is.'],
    ]);
  });
});

describe('a feed', () => {
  it('reads the whole text of an entry where there is one, else its summary, under its heading and with its day', async () => {
    const atom = `<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>News</title>
      <entry><title>High water</title><updated>2026-03-01</updated><summary>Short.</summary>
        <content type="html">&lt;p&gt;At &lt;b&gt;04:10&lt;/b&gt;.&lt;/p&gt;</content></entry>
      <entry><title>Low water</title><summary>At 10:20.</summary></entry></feed>`;
    const parsed = await parse(FEED, atom);
    expect(parsed.title).toBe('News');
    expect(kinds(parsed)).toEqual([
      ['heading', 'News'],
      ['heading', 'High water'],
      ['paragraph', '2026-03-01'],
      ['paragraph', 'At 04:10.'],
      ['heading', 'Low water'],
      ['paragraph', 'At 10:20.'],
    ]);
  });
});

describe('JSON', () => {
  it('reads keys and values, nested objects under their path, like objects as a table, others as records', async () => {
    const parsed = await parse(
      'application/json',
      JSON.stringify({
        name: 'Tides',
        tags: ['sea', 'moon'],
        spring: { height: { metres: '7.1' }, note: 'high' },
        ports: [
          { port: 'Brest', high: '04:10' },
          { port: 'Dover', high: null },
        ],
        readings: [{ at: '04:10', by: { who: 'Ada', tools: ['gauge', 'eye'] } }, { at: '05:20' }],
      }),
    );
    expect(parsed.title).toBe('Tides');
    expect(kinds(parsed)).toEqual([
      ['paragraph', 'name: Tides\ntags: sea, moon'],
      ['heading', 'spring'],
      ['paragraph', 'note: high'],
      ['heading', 'spring › height'],
      ['paragraph', 'metres: 7.1'],
      ['heading', 'ports'],
      ['table', 'port | high\nBrest | 04:10\nDover |'],
      ['heading', 'readings'],
      ['paragraph', 'at: 04:10\nby.who: Ada\nby.tools: gauge, eye'],
      ['paragraph', 'at: 05:20'],
    ]);
    expect(parsed.blocks.filter(({ kind }) => kind === 'heading').map(({ level }) => level)).toEqual([1, 2, 1, 1]);
  });

  it('keeps numbers as they were written, and reads one value a line', async () => {
    const lines = '{"id": 12345678901234567890, "price": 1.50}\n{"id": 2, "price": 2e3}\n';
    expect((await parse('application/json', lines)).text).toBe('id | price\n12345678901234567890 | 1.50\n2 | 2e3');
  });

  it('takes no key for anything but a name', async () => {
    const { text } = await parse('application/json', '[{"__proto__": "x", "toString": "y"}, {"__proto__": "z"}]');
    expect(text).toBe('__proto__ | toString\nx | y\nz |');
  });

  it('refuses a million brackets by name', async () => {
    const deep = `${'['.repeat(100_000)}1${']'.repeat(100_000)}`;
    await expect(parse('application/json', deep)).rejects.toMatchObject({ code: 'nesting_too_deep' });
  });
});

const mail = (headers: string, body: string) => `From: Ada <ada@x.test>\r\nTo: b@x.test\r\n${headers}\r\n\r\n${body}`;

describe('email', () => {
  it('begins with who wrote to whom and when, takes the HTML of two versions, and lists what is attached', async () => {
    const parsed = await parse(
      'message/rfc822',
      mail(
        'Subject: =?utf-8?Q?High_water_=E2=80=94_Brest?=\r\nDate: Sat, 21 Nov 2026 08:00:00 +0000\r\nContent-Type: multipart/mixed; boundary=m',
        `--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain\r\n\r\nPlain version.
\r\n--a\r\nContent-Type: text/html\r\n\r\n<p>Dear all,</p><ul><li>04:10</li></ul>\r\n--a--\r\n--m
Content-Type: application/pdf; name="tides.pdf"\r\nContent-Disposition: attachment; filename="tides.pdf"\r\n\r\n%PDF ghost\r\n--m--\r\n`,
      ),
    );
    expect(parsed.title).toBe('High water — Brest');
    expect(kinds(parsed)).toEqual([
      ['heading', 'High water — Brest'],
      ['paragraph', 'From: Ada <ada@x.test>\nTo: b@x.test\nDate: 2026-11-21T08:00:00.000Z'],
      ['paragraph', 'Dear all,'],
      ['list', '- 04:10'],
      ['list', 'Attachments:\n- tides.pdf'],
    ]);
  });

  it('reads forwarded messages in their place below, and plain text by its paragraphs', async () => {
    const inner = mail('Subject: First', 'One.\r\n\r\nTwo.\r\n');
    const parsed = await parse(
      'message/rfc822',
      mail(
        'Subject: Fwd\r\nContent-Type: multipart/mixed; boundary=m',
        `--m\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n--m\r\nContent-Type: message/rfc822\r\n\r\n${inner}\r\n--m--\r\n`,
      ),
    );
    expect(kinds(parsed).filter(([, text]) => !text.startsWith('From:'))).toEqual([
      ['heading', 'Fwd'],
      ['paragraph', 'See below.'],
      ['heading', 'First'],
      ['paragraph', 'One.'],
      ['paragraph', 'Two.'],
    ]);
    expect(parsed.blocks.filter(({ kind }) => kind === 'heading').map(({ level }) => level)).toEqual([1, 2]);
  });
});
