import { PermanentFailure } from '../../errors.js';
import { chartTable } from './office-chart.js';
import { OfficePackage } from './office-package.js';
import { asUnreadable, emptyDocument, type Parser, PPTX, type ReadBounds } from './parsed.js';
import { slideItems } from './pptx-shapes.js';
import { textBlocks } from './pptx-text.js';
import { TextBuilder } from './text-builder.js';
import { child, childElements, descendants, relationId, type XmlNode } from './xml-tree.js';

/**
 * PowerPoint presentations: a slide is a page, numbered as PowerPoint does, its title a level-1 heading, and the speaker's
 * notes a section of their own below it. Charts and diagrams are read from the figures and words stored with them. Hidden
 * slides, comments, dates, footers and slide numbers are not read.
 */
export const pptxParser: Parser = {
  contentType: PPTX,
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const file = new OfficePackage(bytes, bounds);
      const slides = slidesOf(file, bounds);
      for (const [index, part] of slides.entries()) readSlide(file, part, index + 1, builder);
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(file.title ?? builder.firstHeading(1));
    } catch (error) {
      throw asUnreadable(error, 'PowerPoint presentation');
    }
  },
};

/** Names of the slides' parts, in the order in which they are shown. */
function slidesOf(file: OfficePackage, { pages }: ReadBounds): string[] {
  const presentation = file.tree(file.main);
  if (presentation?.name !== 'presentation') throw new Error('the main part is no presentation');
  const targets = new Map(file.relations(file.main).map(({ id, target }) => [id, target]));
  const list = child(presentation, 'sldIdLst');
  const slides = (list ? childElements(list) : []).map(({ attributes }) => targets.get(relationId(attributes) ?? ''));
  if (slides.length > pages) {
    throw new PermanentFailure(
      'page_limit',
      `The presentation has ${slides.length} slides, more than the ${pages} that are accepted: split it into parts.`,
    );
  }
  // A slide that is listed twice, or not there at all, keeps its number and stays empty the second time.
  return slides.map((slide, index) => (slide && slides.indexOf(slide) === index ? slide : ''));
}

function readSlide(file: OfficePackage, part: string, number: number, builder: TextBuilder): void {
  builder.startPage(number);
  const slide = part === '' ? null : file.tree(part);
  if (!slide || /^(?:0|false)$/.test(slide.attributes['show'] ?? '')) return;
  const relations = file.relations(part);
  for (const item of slideItems(slide, (cells) => builder.countCells(cells))) {
    if (item.kind === 'title') builder.add('heading', item.text, 1);
    else if (item.kind === 'table') builder.addTable(item.table);
    else if (item.kind === 'related') {
      const target = relations.find(({ id }) => id === item.id)?.target;
      const related = target ? file.tree(target) : null;
      if (related) readRelated(related, builder);
    } else builder.add(item.kind, item.text);
  }
  const notes = relations.find(({ type }) => type === 'notesSlide');
  const written = notes && file.tree(notes.target);
  if (written) readNotes(written, builder);
}

function readRelated(part: XmlNode, builder: TextBuilder): void {
  if (part.name === 'chartSpace') {
    const table = chartTable(part);
    if (table) builder.addTable(table);
    return;
  }
  for (const body of descendants(part, 't')) {
    for (const { kind, text } of textBlocks(body)) builder.add(kind, text);
  }
}

function readNotes(notes: XmlNode, builder: TextBuilder): void {
  let titled = false;
  for (const item of slideItems(notes, (cells) => builder.countCells(cells), false)) {
    if (item.kind !== 'paragraph' && item.kind !== 'list') continue;
    if (!titled) builder.add('heading', 'Notes', 2);
    titled = true;
    builder.add(item.kind, item.text);
  }
}
