import type { TableText } from './table-rows.js';
import { rowLine } from './table-rows.js';
import { child, childElements, descendants, textOf, type XmlNode } from './xml-tree.js';

/** Points of one series that are read; more are drawn as a line that nobody reads. */
const POINTS = 2_000;

interface Series {
  name: string;
  categories: Map<number, string>;
  values: Map<number, string>;
}

/**
 * What a chart shows, from the figures that are stored with it: its title as the caption, one row for each category, one
 * column for each series. Null when it holds none.
 */
export function chartTable(chart: XmlNode): TableText | null {
  const series: Series[] = [];
  for (const node of descendants(chart, 'ser')) {
    series.push({
      name: [...points(child(node, 'tx')).values()].join(' '),
      categories: points(child(node, 'cat') ?? child(node, 'xVal')),
      values: points(child(node, 'val') ?? child(node, 'yVal')),
    });
  }
  const title = child(chart, 'chart', 'title');
  const caption = title ? [...descendants(title, 't')].map(textOf).join('') : '';
  const places = new Set(series.flatMap(({ values }) => [...values.keys()]));
  if (places.size === 0) return caption === '' ? null : { caption, header: [], rows: [] };
  const rows = [...places]
    .toSorted((a, b) => a - b)
    .map((at) => {
      const category = series.find(({ categories }) => categories.has(at))?.categories.get(at);
      return rowLine([category ?? `${at + 1}`, ...series.map(({ values }) => values.get(at) ?? '')]);
    });
  return { caption, header: [rowLine(['', ...series.map(({ name }) => name)])], rows };
}

/** The cached points of a reference, by index. */
function points(node: XmlNode | undefined): Map<number, string> {
  const found = new Map<number, string>();
  if (!node) return found;
  for (const point of descendants(node, 'pt')) {
    if (found.size >= POINTS) break;
    const value = childElements(point).find(({ name }) => name === 'v');
    found.set(Number(point.attributes['idx'] ?? found.size), value ? textOf(value) : '');
  }
  const literal = found.size === 0 ? child(node, 'v') : undefined;
  if (literal) found.set(0, textOf(literal));
  return found;
}
