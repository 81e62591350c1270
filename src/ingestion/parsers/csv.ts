import Papa from 'papaparse';
import { decodeText } from './decode.js';
import { asUnreadable, emptyDocument, type Parser } from './parsed.js';
import { tableText } from './table-rows.js';
import { oneLine, TextBuilder } from './text-builder.js';

const DELIMITERS = [',', '\t', ';', '|'];

/**
 * Tables in text: comma, semicolon, tab or bar between the cells, told from the first rows. The first row is the header when
 * it reads like one. Cells are stored as they are written: a formula is its letters.
 */
export const csvParser: Parser = {
  contentType: 'text/csv',
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const text = decodeText(bytes)
        .replace(/^\ufeff/, '')
        .replace(/^sep=(.)\r?\n/i, '');
      // Before it is cut into a million strings.
      if (text.length > bounds.textChars) builder.add('paragraph', text);
      const rows: string[][] = [];
      Papa.parse<string[]>(text, {
        delimitersToGuess: DELIMITERS,
        skipEmptyLines: 'greedy',
        step({ data }) {
          builder.countCells(data.length);
          rows.push(data.map(oneLine));
        },
      });
      builder.addTable(tableText(rows));
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(null);
    } catch (error) {
      throw asUnreadable(error, 'table');
    }
  },
};
