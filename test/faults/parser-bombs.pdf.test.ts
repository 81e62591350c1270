import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parserFor } from '../../src/ingestion/parsers/registry.js';
import { bounds, openRange, type Range, shortly } from './bomb-range.js';
import { onePage, packedStream, pdf, plainStream, shown } from './bombs.js';

let range: Range;
let short: Range;

beforeAll(async () => void ([range, short] = await Promise.all([openRange(), openRange(shortly)])));
afterAll(() => Promise.all([range?.close(), short?.close()]));

const ends = ['parser_timeout', 'parser_memory'];

const tree = (kids: string, count: number, pages: number) =>
  pdf([
    '<</Type/Catalog/Pages 2 0 R>>',
    `<</Type/Pages/Kids[${kids}]/Count ${count}>>`,
    ...Array.from({ length: pages }, () => '<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>'),
  ]);

describe('PDF files', () => {
  it('23: a page that inflates to 96 MB is cut off, and the next file is read', async () => {
    const bomb = onePage(packedStream(Buffer.from('BT /F1 9 Tf (tide) Tj ET\n'.repeat(4_000_000))));
    expect(bomb.length).toBeLessThan(400_000);
    expect(ends).toContain(await short.endOf('flate.pdf', bomb));
    expect(await short.textOf('next.pdf', onePage(plainStream(shown('Next.'))))).toBe('Next.');
  });

  it('23: a page that is packed ten times over is cut off or refused', async () => {
    const bomb = onePage(packedStream(Buffer.from('BT /F1 9 Tf (tide) Tj ET\n'.repeat(4_000_000)), 10));
    expect(bomb.length).toBeLessThan(5_000);
    expect(ends).toContain(await short.endOf('layers.pdf', bomb));
  });

  it('24: a tree that claims a million pages is refused by its claim', async () => {
    const claimed = pdf([
      '<</Type/Catalog/Pages 2 0 R>>',
      '<</Type/Pages/Kids[3 0 R]/Count 1000000>>',
      '<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>',
    ]);
    expect(['page_limit', 'unreadable_document', 'no_text_layer']).toContain(await range.endOf('claim.pdf', claimed));
  });

  it('24: a million times the same page, and more real pages than are accepted, are refused', async () => {
    expect(await range.endOf('same.pdf', tree('3 0 R '.repeat(1_000_000), 1_000_000, 1))).toBe('unreadable_document');
    const kids = Array.from({ length: 5_001 }, (_, index) => `${index + 3} 0 R`).join(' ');
    expect(await range.endOf('pages.pdf', tree(kids, 5_001, 5_001))).toBe('page_limit');
  });

  it.each([
    ['kids that are their own parents', '<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>', ''],
    ['a table that comes before itself', '<</Type/Pages/Kids[3 0 R]/Count 1>>', '/Prev 9'],
  ])('24: %s end by name', async (_, pages, trailer) => {
    const cyclic = pdf(
      ['<</Type/Catalog/Pages 2 0 R>>', pages, '<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>'],
      trailer,
    );
    expect(['unreadable_document', 'no_text_layer']).toContain(await range.endOf('cycle.pdf', cyclic));
  });

  it('24: a table whose previous table is itself ends by name', async () => {
    const body =
      '%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n';
    const table = `xref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 3/Root 1 0 R/Prev ${body.length}>>\nstartxref\n${body.length}\n%%EOF\n`;
    expect(['unreadable_document', 'no_text_layer']).toContain(await range.endOf('prev.pdf', body + table));
  });

  it('24: a stream that claims a gigabyte is read for what it holds', async () => {
    const bytes = onePage(plainStream(shown('Short.'), 1_000_000_000));
    expect(['text', 'unreadable_document', 'no_text_layer']).toContain(await range.endOf('length.pdf', bytes));
  });

  it('25: scripts, launches, links and programs in fonts are not run: only the text comes out', async () => {
    const payload = '1\\); globalThis.sentinel = 1; //';
    const bytes = onePage(
      plainStream(shown('Only words.')),
      '/OpenAction 5 0 R/AA<</WC 5 0 R>>/Names<</JavaScript<</Names[(a) 5 0 R]>>>>',
      [
        '<</S/JavaScript/JS(globalThis.sentinel = 1; app.launchURL("http://127.0.0.1/"))/Next 6 0 R>>',
        '<</S/Launch/F(/bin/true)/Next 7 0 R>>',
        '<</S/URI/URI(http://127.0.0.1/)>>',
      ],
      `/F1 <</Type/Font/Subtype/Type1/BaseFont/Helvetica/FontMatrix[0.001 0 0 0.001 0 (${payload})]>>`,
    );
    const before = Reflect.ownKeys(globalThis).length;
    await (await parserFor('application/pdf')).parse(bytes, bounds);
    expect(Reflect.get(globalThis, 'sentinel')).toBeUndefined();
    expect(Reflect.ownKeys(globalThis).length).toBeGreaterThanOrEqual(before);
    expect(await range.textOf('script.pdf', bytes)).toBe('Only words.');
  });
});
