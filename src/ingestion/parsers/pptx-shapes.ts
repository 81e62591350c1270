import { textBlocks, paragraphText, type SlideText } from './pptx-text.js';
import { TableGrid } from './table-grid.js';
import { tableText, type TableText } from './table-rows.js';
import { oneLine } from './text-builder.js';
import { child, childElements, descendants, relationId, type XmlNode } from './xml-tree.js';

/** What stands on a slide, in order. `related` names another part: a chart or a diagram. */
export type SlideItem =
  SlideText | { kind: 'title'; text: string } | { kind: 'table'; table: TableText } | { kind: 'related'; id: string };

const FURNITURE = new Set(['dt', 'ftr', 'hdr', 'sldNum', 'sldImg']);
const TITLES = new Set(['title', 'ctrTitle']);
/** "Picture 4", "image1.png", and what a program saw in the picture. */
const NO_DESCRIPTION =
  /^(?:picture|image|graphic|grafik|bild|photo|logo|icon|shape)?\s*\d*$|^\S+\.\w{3,4}$|generated|automatically/i;

/**
 * The items of a slide (or of its notes) in the order in which they are drawn, the title first.
 * @param count is told of each row's cells, before they become text
 * @param bulleted several paragraphs in the body are a list, as they are on slides, not in notes
 */
export function slideItems(slide: XmlNode, count: (cells: number) => void, bulleted = true): SlideItem[] {
  const tree = child(slide, 'cSld', 'spTree');
  if (!tree) return [];
  const items: SlideItem[] = [];
  const waiting = childElements(tree).toReversed();
  for (let shape = waiting.pop(); shape; shape = waiting.pop()) {
    if (isHidden(shape)) continue;
    if (shape.name === 'sp' || shape.name === 'cxnSp') items.push(...ofShape(shape, bulleted));
    else if (shape.name === 'grpSp') waiting.push(...childElements(shape).toReversed());
    else if (shape.name === 'graphicFrame') items.push(...ofFrame(shape, count));
    else if (shape.name === 'pic') items.push(...ofPicture(shape));
    else if (shape.name === 'AlternateContent') {
      const choice = child(shape, 'Choice') ?? child(shape, 'Fallback');
      if (choice) waiting.push(...childElements(choice).toReversed());
    }
  }
  const isTitle = ({ kind }: SlideItem) => kind === 'title';
  return [...items.filter(isTitle), ...items.filter((item) => !isTitle(item))];
}

const propertiesOf = (shape: XmlNode): XmlNode | undefined =>
  childElements(shape).find(({ name }) => /^nv\w+Pr$/.test(name));

const isHidden = (shape: XmlNode): boolean => {
  const hidden = child(propertiesOf(shape), 'cNvPr')?.attributes['hidden'];
  return hidden === '1' || hidden === 'true';
};

function ofShape(shape: XmlNode, bulleted: boolean): SlideItem[] {
  const body = child(shape, 'txBody');
  if (!body) return [];
  const placeholder = child(propertiesOf(shape), 'nvPr', 'ph');
  const type = placeholder?.attributes['type'] ?? 'obj';
  if (placeholder && FURNITURE.has(type)) return [];
  if (placeholder && TITLES.has(type)) {
    const lines = childElements(body)
      .filter(({ name }) => name === 'p')
      .map(paragraphText);
    const text = oneLine(lines.join(' '));
    return text === '' ? [] : [{ kind: 'title', text }];
  }
  return textBlocks(body, bulleted && placeholder !== undefined && (type === 'obj' || type === 'body'));
}

function ofFrame(frame: XmlNode, count: (cells: number) => void): SlideItem[] {
  const data = child(frame, 'graphic', 'graphicData');
  const table = child(data, 'tbl');
  if (table) return [{ kind: 'table', table: readTable(table, count) }];
  for (const graphic of data ? childElements(data) : []) {
    const id = relationId(graphic.attributes);
    if ((graphic.name === 'chart' || graphic.name === 'relIds') && id) return [{ kind: 'related', id }];
  }
  return [];
}

function readTable(table: XmlNode, count: (cells: number) => void): TableText {
  const grid = new TableGrid(count);
  for (const row of childElements(table)) {
    if (row.name !== 'tr') continue;
    for (const cell of childElements(row)) {
      const { gridSpan, rowSpan, hMerge, vMerge } = cell.attributes;
      if (cell.name !== 'tc' || isTrue(hMerge) || isTrue(vMerge)) continue;
      const lines = [...descendants(cell, 'p')].map(paragraphText);
      grid.add(oneLine(lines.join(' ')), spanOf(gridSpan), spanOf(rowSpan));
    }
    grid.end();
  }
  const marked = isTrue(child(table, 'tblPr')?.attributes['firstRow']);
  return tableText(grid.rows, marked && grid.rows.length > 1 ? 1 : undefined);
}

const isTrue = (value: string | undefined): boolean => value === '1' || value === 'true';

const spanOf = (value: string | undefined): number => Math.min(1_000, Math.max(1, Number(value ?? 1) || 1));

/** What somebody wrote about a picture for those who cannot see it. */
function ofPicture(picture: XmlNode): SlideItem[] {
  const text = oneLine(child(propertiesOf(picture), 'cNvPr')?.attributes['descr'] ?? '');
  return text.length < 4 || NO_DESCRIPTION.test(text) ? [] : [{ kind: 'paragraph', text }];
}
