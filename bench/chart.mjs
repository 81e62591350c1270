// Charts as SVG texts, for reports that are one file and need nothing else.

const ink = ['#31688e', '#e07b39', '#4c956c', '#8d5a97', '#9c9c9c'];
const font = 'font-family="system-ui, sans-serif" font-size="12"';

/** @param {unknown} text */
export const escaped = (text) =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** @param {number} width @param {number} height @param {string} label for those who cannot see it @param {string} inside */
const svg = (width, height, label, inside) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
  `role="img" aria-label="${escaped(label)}" ${font}>${inside}</svg>`;

const text = (
  /** @type {number} */ x,
  /** @type {number} */ y,
  /** @type {unknown} */ said,
  more = '',
  fill = '#333',
) => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${fill}" ${more}>${escaped(said)}</text>`;

/**
 * Groups of bars between 0 and 1, one colour a series, with marks to compare with.
 *
 * @param {string} title
 * @param {{ name: string, values: { series: string, value: number }[] }[]} groups
 * @param {{ name: string, value: number }[]} [marks]
 */
export function barChart(title, groups, marks = []) {
  const [left, top, width, bar] = [130, 34, 480, 16];
  const series = [...new Set(groups.flatMap(({ values }) => values.map((one) => one.series)))];
  const x = (/** @type {number} */ value) => left + value * width;
  let y = top;
  let inside = text(left, 18, title, 'font-weight="600"');
  for (const { name, values } of groups) {
    inside += text(left - 8, y + (bar * values.length) / 2 + 4, name, 'text-anchor="end"');
    for (const { series: one, value } of values) {
      const colour = ink[series.indexOf(one) % ink.length];
      inside += `<rect x="${left}" y="${y}" width="${(value * width).toFixed(1)}" height="${bar - 2}" fill="${colour}"/>`;
      inside += text(x(value) + 5, y + bar - 5, `${value.toFixed(4)} ${one}`);
      y += bar;
    }
    y += 12;
  }
  const bottom = y;
  marks.forEach(({ name, value }, at) => {
    const line = `x1="${x(value)}" x2="${x(value)}" y1="${top - 4}" y2="${bottom}"`;
    inside += `<line ${line} stroke="#b00020" stroke-dasharray="3 3"/>`;
    inside += text(x(value), bottom + 14 * (at + 1), `${name} ${value}`, 'text-anchor="middle"', '#b00020');
  });
  return svg(left + width + 170, bottom + 14 * marks.length + 12, title, inside);
}

/**
 * Question by question, how much one system gains or loses against another, sorted.
 *
 * @param {string} title
 * @param {readonly number[]} differences between -1 and 1
 */
export function differenceChart(title, differences) {
  const [left, top, width, half] = [44, 30, 640, 70];
  const sorted = differences.toSorted((one, other) => other - one);
  const step = width / Math.max(1, sorted.length);
  const bars = sorted.map((value, at) => {
    const height = Math.abs(value) * half;
    const y = value > 0 ? top + half - height : top + half;
    const size = `width="${Math.max(0.6, step - 0.2).toFixed(2)}" height="${height.toFixed(2)}"`;
    return `<rect x="${(left + at * step).toFixed(2)}" y="${y.toFixed(2)}" ${size} fill="${value > 0 ? ink[2] : ink[1]}"/>`;
  });
  const axis = `<line x1="${left}" x2="${left + width}" y1="${top + half}" y2="${top + half}" stroke="#333"/>`;
  const labels = [1, 0, -1].map((value) => text(left - 8, top + half - value * half + 4, value, 'text-anchor="end"'));
  const inside = text(left, 16, title, 'font-weight="600"') + axis + bars.join('') + labels.join('');
  return svg(left + width + 10, top + 2 * half + 12, title, inside);
}

/** @param {number[]} values @returns {[number, number]} the powers of ten that hold them */
const decades = (values) => [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];

/**
 * Curves with both axes logarithmic.
 *
 * @param {string} title
 * @param {{ x: string, y: string }} axes
 * @param {{ name: string, points: [x: number, y: number][] }[]} series
 */
export function logLogChart(title, axes, series) {
  const [left, top, width, height] = [70, 40, 480, 300];
  const all = series.flatMap(({ points }) => points);
  const [x0, x1] = decades(all.map(([x]) => x));
  const [y0, y1] = decades(all.map(([, y]) => y));
  const x = (/** @type {number} */ value) => left + ((Math.log10(value) - x0) / Math.max(1, x1 - x0)) * width;
  const y = (/** @type {number} */ value) => top + height - ((Math.log10(value) - y0) / Math.max(1, y1 - y0)) * height;
  let inside = text(left, 18, title, 'font-weight="600"');
  for (let power = x0; power <= x1; power++) {
    const at = x(10 ** power);
    inside += `<line x1="${at}" x2="${at}" y1="${top}" y2="${top + height}" stroke="#ddd"/>`;
    inside += text(at, top + height + 16, (10 ** power).toLocaleString('en'), 'text-anchor="middle"');
  }
  for (let power = y0; power <= y1; power++) {
    const at = y(10 ** power);
    inside += `<line x1="${left}" x2="${left + width}" y1="${at}" y2="${at}" stroke="#ddd"/>`;
    inside += text(left - 6, at + 4, 10 ** power, 'text-anchor="end"');
  }
  inside += text(left + width / 2, top + height + 34, axes.x, 'text-anchor="middle"');
  inside += text(left, top - 8, axes.y);
  series.forEach(({ name, points }, at) => {
    const colour = ink[at % ink.length];
    const path = points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(' ');
    inside += `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`;
    for (const [px, py] of points)
      inside += `<circle cx="${x(px).toFixed(1)}" cy="${y(py).toFixed(1)}" r="3" fill="${colour}"/>`;
    inside += `<rect x="${left + width + 16}" y="${top + at * 20}" width="10" height="10" fill="${colour}"/>`;
    inside += text(left + width + 32, top + 9 + at * 20, name);
  });
  return svg(left + width + 260, top + height + 46, title, inside);
}
