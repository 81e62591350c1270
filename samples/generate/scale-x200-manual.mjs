import { PDFDocument } from 'pdfkit';
import { pages } from './scale-x200-pages.mjs';

const title = 'Scale X200 User Manual';
const day = new Date(Date.UTC(2026, 0, 5, 9));
const margin = 62;
const ink = '#1c2733';
const accent = '#0b5d6b';

/** @returns {Promise<Buffer>} the manual: headings, paragraphs, lists, two tables, a footer and bookmarks */
export async function scaleManual() {
  const document = new PDFDocument({
    size: 'A4',
    margin,
    autoFirstPage: false,
    info: { Title: title, Author: 'Halden Instruments', CreationDate: day, ModDate: day },
  });
  const bytes = collect(document);
  for (const [index, blocks] of pages.entries()) {
    document.addPage();
    if (index === 0) cover(document);
    for (const block of blocks) draw(document, block);
    footer(document, index + 1);
  }
  document.end();
  return bytes;
}

/**
 * @param {PDFKit.PDFDocument} document
 * @returns {Promise<Buffer>}
 */
async function collect(document) {
  const parts = [];
  for await (const part of document) parts.push(part);
  return Buffer.concat(parts);
}

/** @param {PDFKit.PDFDocument} document */
function cover(document) {
  document.rect(0, 0, document.page.width, 12).fill(accent);
  document.fillColor(ink).font('Helvetica-Bold').fontSize(26).text(title, margin, 84);
  document.font('Helvetica').fontSize(10.5).fillColor('#55606b');
  document.text('Halden Instruments, Fernhill. Edition 3, January 2026. Read it before the first weighing.');
  document.moveDown(1.2);
}

/**
 * @param {PDFKit.PDFDocument} document
 * @param {import('./scale-x200-pages.mjs').Block} block
 */
function draw(document, block) {
  if (block.chapter) {
    document.outline.addItem(block.chapter);
    document.moveDown(0.4).font('Helvetica-Bold').fontSize(17).fillColor(accent).text(block.chapter).moveDown(0.5);
  } else if (block.heading) {
    document.moveDown(0.5).font('Helvetica-Bold').fontSize(13).fillColor(ink).text(block.heading).moveDown(0.3);
  } else if (block.list) {
    document.font('Helvetica').fontSize(10.5).fillColor(ink);
    // Bullets as letters: what `list()` draws is a shape, and a reader of the text would see one long sentence.
    for (const item of block.list) document.text(`\u2022 ${item}`, { lineGap: 2 });
    document.moveDown(0.6);
  } else if (block.table) {
    table(document, block.table, block.columns);
  } else {
    document.font('Helvetica').fontSize(10.5).fillColor(ink).text(block.text, { lineGap: 2 }).moveDown(0.6);
  }
}

/**
 * Each row is one line of text: a cell that wrapped would be read as a row of its own.
 *
 * @param {PDFKit.PDFDocument} document
 * @param {string[][]} rows the first of them is the header
 * @param {number[]} columns where each column begins, in points from the left margin
 */
function table(document, rows, columns) {
  const width = document.page.width - 2 * margin;
  const height = 21;
  let y = document.y + 2;
  for (const [index, row] of rows.entries()) {
    if (index === 0) document.rect(margin, y, width, height).fill(accent);
    else if (index % 2 === 0) document.rect(margin, y, width, height).fill('#eef4f5');
    document.font(index === 0 ? 'Helvetica-Bold' : 'Helvetica').fontSize(9.5);
    document.fillColor(index === 0 ? '#ffffff' : ink);
    for (const [at, words] of row.entries()) {
      document.text(words, margin + 6 + (columns[at] ?? 0), y + 6, { lineBreak: false });
    }
    y += height;
  }
  document.x = margin;
  document.y = y + 12;
}

/**
 * @param {PDFKit.PDFDocument} document
 * @param {number} number
 */
function footer(document, number) {
  // Below the bottom margin, where pdfkit would begin a new page.
  document.page.margins.bottom = 0;
  const y = document.page.height - 44;
  document
    .moveTo(margin, y - 8)
    .lineTo(document.page.width - margin, y - 8)
    .lineWidth(0.5)
    .stroke('#b9c4cc');
  document.font('Helvetica').fontSize(8.5).fillColor('#6a7680');
  document.text(`Halden Instruments - ${title} - Page ${number} of ${pages.length}`, margin, y, { lineBreak: false });
  document.page.margins.bottom = margin;
}
