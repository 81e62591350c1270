import { SaxesParser } from 'saxes';
import { describe, expect, it } from 'vitest';
import { barChart, differenceChart, logLogChart } from '../../bench/chart.mjs';
import { asMarkdown } from '../../bench/report.mjs';

/** The words of a drawing, if it is XML at all. */
function wordsOf(svg: string): string[] {
  const words: string[] = [];
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('text', (text) => void words.push(text));
  parser.write(svg).close();
  return words;
}

describe('charts of reports', () => {
  it('are whole XML whatever the names are, and say the figures they draw', () => {
    const groups = [{ name: 'a < b & "c"', values: [{ series: 'hybrid', value: 0.5 }] }];
    const bars = wordsOf(barChart('title', groups, [{ name: 'goal', value: 0.7 }]));
    expect(bars).toEqual(['title', 'a < b & "c"', '0.5000 hybrid', 'goal 0.7']);
    expect(wordsOf(differenceChart('gain', [0.3, -0.2, 0]))).toEqual(['gain', '1', '0', '-1']);
  });

  it('a logarithmic plot spans the decades that its points lie in', () => {
    const series = [{ name: 'ours', points: [[10_000, 3] as [number, number], [1_000_000, 25] as [number, number]] }];
    const words = wordsOf(logLogChart('cost', { x: 'passages', y: 'ms' }, series));
    expect(words).toEqual(expect.arrayContaining(['10,000', '100,000', '1,000,000', '1', '10', '100', 'ours']));
  });
});

describe('tables of reports', () => {
  it('line up as plain text and are Markdown', () => {
    expect(asMarkdown({ caption: 'c', head: ['name', 'n'], rows: [['a', 12345]] })).toBe(
      'c\n\n| name | n     |\n| ---- | ----- |\n| a    | 12345 |',
    );
  });
});
