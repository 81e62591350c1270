import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { PDFParse } from 'pdf-parse';
import { readConfig } from '../../dist/config.js';
import { ParserPool } from '../../dist/ingestion/parsers/parser-pool.js';
import { quantile, timed } from '../load.mjs';

/**
 * Reading PDF files: through the service's parser processes, with all they look for, and with `pdf-parse` alone in this
 * process. One file at a time, by turns; medians.
 *
 * @param {string[]} files
 * @param {number} rounds
 */
export async function comparedParsing(files, rounds) {
  const pool = new ParserPool(readConfig({}).parser);
  const ours = (/** @type {string} */ file) =>
    pool.parse(file, { filename: basename(file), declared: 'application/pdf' }, { owner: 'bench' });
  const taken = files.map((file) => ({ file: basename(file), ours: [], pdfParse: [] }));
  // Both have loaded their code before the first clock starts.
  await Promise.all([ours(files[0]), alone(files[0])]);
  for (let round = 0; round < rounds; round++) {
    for (const [at, file] of files.entries()) {
      taken[at].ours.push(await timed(() => ours(file)));
      taken[at].pdfParse.push(await timed(() => alone(file)));
    }
  }
  await pool.close();
  const medians = taken.map(({ file, ours: one, pdfParse }) => ({
    file,
    ours: quantile(one, 0.5),
    pdfParse: quantile(pdfParse, 0.5),
  }));
  const sum = (/** @type {'ours' | 'pdfParse'} */ who) => medians.reduce((all, one) => all + one[who], 0);
  return { files: medians, ours: sum('ours'), pdfParse: sum('pdfParse'), ratio: sum('ours') / sum('pdfParse') };
}

/** @param {string} file */
async function alone(file) {
  const parser = new PDFParse({ data: new Uint8Array(await readFile(file)) });
  await parser.getText();
  await parser.destroy();
}
