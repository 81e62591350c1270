import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { escaped } from './chart.mjs';

/**
 * @typedef {{ caption: string, head: string[], rows: (string | number)[][] }} Table
 * @typedef {object} Report what was measured, as people read it
 * @property {string} title
 * @property {string[]} notes
 * @property {Table[]} tables
 * @property {string[]} charts SVG
 */

/** @param {Report} report */
export function printReport({ title, notes, tables }) {
  console.log(`\n${title}`);
  for (const note of notes) console.log(`  ${note}`);
  for (const table of tables) console.log(`\n${asMarkdown(table)}`);
}

/** A table that reads well as plain text and renders as Markdown. @param {Table} table */
export function asMarkdown({ caption, head, rows }) {
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, at) => Math.max(3, ...cells.map((row) => row[at].length)));
  const line = (/** @type {string[]} */ row) => `| ${row.map((cell, at) => cell.padEnd(widths[at])).join(' | ')} |`;
  const [first, ...others] = cells;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [`${caption}\n`, line(first), rule, ...others.map(line)].join('\n');
}

/**
 * Writes `<name>.json` (everything), `<name>.html` (the report, with its charts) and `<name>.svg` if there is one chart.
 *
 * @param {string} folder
 * @param {string} name
 * @param {object} result
 * @param {Report} report
 */
export async function writeReport(folder, name, result, report) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(result, null, 1)}\n`);
  await writeFile(join(folder, `${name}.html`), asPage(report));
  const [chart, more] = report.charts;
  if (chart && !more) await writeFile(join(folder, `${name}.svg`), chart);
  console.log(`\nWritten: ${join(folder, name)}.json and .html`);
}

/** @param {Report} report */
function asPage({ title, notes, tables, charts }) {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem} h2{font-size:1rem;margin:2rem 0 .5rem} svg{max-width:100%;height:auto;margin-top:1rem}
table{border-collapse:collapse} th,td{padding:.25rem .8rem .25rem 0;text-align:left;border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}
</style></head><body><h1>${escaped(title)}</h1>
<ul>${notes.map((note) => `<li>${escaped(note)}</li>`).join('')}</ul>
${charts.join('\n')}
${tables.map(asHtml).join('\n')}
</body></html>
`;
}

/** @param {'td' | 'th'} tag @param {(string | number)[]} cells */
const row = (tag, cells) => `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;

/** @param {Table} table */
function asHtml({ caption, head, rows }) {
  const body = rows.map((cells) => row('td', cells)).join('');
  return `<h2>${escaped(caption)}</h2><table><thead>${row('th', head)}</thead><tbody>${body}</tbody></table>`;
}
