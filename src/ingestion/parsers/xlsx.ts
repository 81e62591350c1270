import { PermanentFailure } from '../../errors.js';
import { chartTable } from './office-chart.js';
import { OfficePackage } from './office-package.js';
import { asUnreadable, emptyDocument, type Parser, type ReadBounds, XLSX } from './parsed.js';
import { TextBuilder } from './text-builder.js';
import { type Book, readFormats, readSheet, readStrings } from './xlsx-cells.js';
import { partsOf } from './xlsx-tables.js';
import { child, childElements, relationId, type XmlNode } from './xml-tree.js';

/**
 * Excel workbooks: a sheet is a page with its name as a level-1 heading; its tables follow, with the values that Excel
 * stored last, as their formats show them (dates in ISO 8601), and the figures of its charts. Formulas, comments and
 * hidden sheets are not read. By hand over SAX: read-excel-file, which was tried, gives neither formats nor merged cells.
 */
export const xlsxParser: Parser = {
  contentType: XLSX,
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const file = new OfficePackage(bytes, bounds);
      const workbook = file.tree(file.main);
      if (workbook?.name !== 'workbook') throw new Error('the main part is no workbook');
      const sheets = child(workbook, 'sheets');
      const book = readBook(file, workbook, bounds);
      for (const [index, sheet] of (sheets ? childElements(sheets) : []).entries()) {
        if (index >= bounds.pages) throw tooManySheets(bounds.pages);
        builder.startPage(index + 1);
        if (/hidden/i.test(sheet.attributes['state'] ?? '')) continue;
        writeSheet(file, sheet, book, builder, bounds);
      }
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(file.title);
    } catch (error) {
      throw asUnreadable(error, 'Excel workbook');
    }
  },
};

const tooManySheets = (most: number): PermanentFailure =>
  new PermanentFailure('page_limit', `The workbook has more than ${most} sheets: split it into smaller files.`);

function readBook(file: OfficePackage, workbook: XmlNode, { depth }: ReadBounds): Book {
  const relations = file.relations(file.main);
  const partOf = (type: string) => relations.find((relation) => relation.type === type)?.target ?? '';
  return {
    strings: readStrings(file.part(partOf('sharedStrings')), depth),
    formats: readFormats(file.tree(partOf('styles'))),
    date1904: /^(?:1|true)$/.test(child(workbook, 'workbookPr')?.attributes['date1904'] ?? ''),
  };
}

function writeSheet(
  file: OfficePackage,
  { attributes }: XmlNode,
  book: Book,
  builder: TextBuilder,
  bounds: ReadBounds,
): void {
  const id = relationId(attributes);
  const relation = file.relations(file.main).find((candidate) => candidate.id === id);
  const part = relation && file.part(relation.target);
  if (!relation || !part) return;
  const count = (cells: number) => builder.countCells(cells);
  const parts = relation.type === 'worksheet' ? partsOf(readSheet(part, bounds.depth, book, count), count) : [];
  const charts = chartsOf(file, relation.target);
  if (parts.length + charts.length === 0) return;
  builder.add('heading', attributes['name'] ?? '', 1);
  for (const each of parts) {
    if ('line' in each) builder.add('paragraph', each.line);
    else builder.addTable(each.table);
  }
  for (const chart of charts) builder.addTable(chart);
}

/** A sheet refers to its drawing, and that to its charts. */
function chartsOf(file: OfficePackage, sheet: string) {
  const charts = [];
  for (const drawing of file.relations(sheet)) {
    if (drawing.type !== 'drawing') continue;
    for (const { type, target } of file.relations(drawing.target)) {
      const chart = type === 'chart' ? file.tree(target) : null;
      const table = chart && chartTable(chart);
      if (table) charts.push(table);
    }
  }
  return charts;
}
