import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';
import { chunk } from '../../src/ingestion/chunk.js';
import { TextBuilder } from '../../src/ingestion/parsers/text-builder.js';
import { contextHash, inContext } from '../../src/knowledge/chunks.js';

const caption = 'Table 3: Tides at the northern ports';
const header = 'Port | High water | Low water';
const rows = Array.from({ length: 120 }, (_, row) => `Port ${row} | ${row}.4 m | ${row}.1 m`);

const builder = () => new TextBuilder(readConfig({}).parser.bounds);

describe('chunks of a table', () => {
  it('carry its caption and header from the second on, beside their text', () => {
    const document = builder();
    document.addTable({ caption, header: [header], rows });
    const [first, ...others] = chunk(document.finish(null));
    expect(first).toMatchObject({ lead: null });
    expect(first?.text).toContain(`${caption}\n\n${header}`);
    expect(others.length).toBeGreaterThan(1);
    for (const { lead, text } of others) {
      expect(lead).toBe(`${caption}\n${header}`);
      expect(text).not.toContain('High water');
    }
  });

  it('carry only what stands before them', () => {
    const document = builder();
    document.addTable({ caption, header: [header, 'name | metres | metres'], rows: rows.slice(0, 3) });
    const small = chunk(document.finish(null), { targetChars: 50, maxChars: 60 });
    expect(small.slice(0, 3).map(({ text, lead }) => [text, lead])).toEqual([
      [caption, null],
      [header, caption],
      [`name | metres | metres\n${rows[0]}`, `${caption}\n${header}`],
    ]);
  });

  it('that has neither caption nor header carry nothing, and neither does what follows a table', () => {
    const document = builder();
    document.addTable({ header: [], rows });
    document.addTable({ header: [header], rows: rows.slice(0, 4) });
    for (let n = 0; n < 40; n++) document.add('paragraph', 'The harbour master is to be asked before anybody moors. ');
    const chunks = chunk(document.finish(null));
    expect(chunks.length).toBeGreaterThan(3);
    expect(chunks.map(({ lead }) => lead)).toEqual(chunks.map(() => null));
  });

  it('that goes on at the top of the next page carry what it began with', () => {
    const document = builder();
    document.startPage(1);
    document.addTable({ caption, header: [header], rows: rows.slice(0, 3) });
    for (const page of [2, 3]) {
      document.startPage(page);
      document.addTable({ header: [], rows: rows.slice(3 * page, 3 * page + 3) });
    }
    document.add('paragraph', 'All heights are above chart datum.');
    const lead = `${caption}\n${header}`;
    expect(chunk(document.finish(null)).map((one) => one.lead)).toEqual([null, lead, lead]);
  });

  it.each<[string, (document: TextBuilder) => void]>([
    ['has other columns', (document) => document.addTable({ header: [], rows: ['a | b', 'c | d'] })],
    ['has a header of its own', (document) => document.addTable({ header: ['A | B | C'], rows: ['1 | 2 | 3'] })],
    [
      'does not begin the page',
      (document) => {
        document.add('paragraph', 'Later that year:');
        document.addTable({ header: [], rows });
      },
    ],
  ])('on the page before are not gone on with by one that %s', (_how, add) => {
    const document = builder();
    document.startPage(1);
    document.addTable({ caption, header: [header], rows: rows.slice(0, 3) });
    document.startPage(2);
    add(document);
    expect(chunk(document.finish(null))[1]?.lead).toBeNull();
  });

  it('are embedded and searched with what they carry, and those that carry nothing as ever', () => {
    const passage = { ordinal: 1, section: ['Tides'], page: null, start: 9, end: 12, text: '7 | 9' };
    expect(inContext({ ...passage, lead: header })).toBe(`Tides\n${header}\n7 | 9`);
    expect(inContext({ ...passage, lead: null })).toBe('Tides\n7 | 9');
    expect(contextHash({ ...passage, lead: header })).not.toEqual(contextHash({ ...passage, lead: 'Port | Ebb' }));
  });

  it('of 100,000 rows are cut in time that grows with their number only', () => {
    const document = builder();
    document.addTable({ caption, header: [header], rows: Array.from({ length: 100_000 }, () => rows[7]!) });
    const parsed = document.finish(null);
    const before = process.cpuUsage();
    expect(chunk(parsed).at(-1)?.lead).toContain(header);
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(10);
  });
});
