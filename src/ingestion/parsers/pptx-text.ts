import type { BlockKind } from './parsed.js';
import { child, childElements, textOf, type XmlNode } from './xml-tree.js';

export interface SlideText {
  kind: Extract<BlockKind, 'paragraph' | 'list'>;
  text: string;
}

/**
 * The paragraphs of a text body. Those with a bullet or a number, and those of the slide's own body when there are several,
 * are lines of a list.
 * @param bulleted its paragraphs are bulleted unless they say otherwise: it is the body of a slide
 */
export function textBlocks(body: XmlNode, bulleted = false): SlideText[] {
  const paragraphs = childElements(body).filter(({ name }) => name === 'p');
  const several = paragraphs.filter((paragraph) => paragraphText(paragraph) !== '').length > 1;
  const blocks: SlideText[] = [];
  const counts: number[] = [];
  for (const paragraph of paragraphs) {
    const text = paragraphText(paragraph);
    if (text === '') continue;
    const properties = child(paragraph, 'pPr');
    const level = Math.min(8, Number(properties?.attributes['lvl'] ?? 0) || 0);
    const marker = markerOf(properties, bulleted && several);
    const last = blocks.at(-1);
    counts.length = Math.min(counts.length, level + 1);
    if (marker === null) {
      counts.length = 0;
      blocks.push({ kind: 'paragraph', text });
      continue;
    }
    counts[level] = marker === 'number' ? (counts[level] ?? 0) + 1 : 0;
    const mark = marker === 'number' ? `${counts[level]}.` : '-';
    const line = `${'  '.repeat(level)}${mark} ${text.replaceAll('\n', `\n${'  '.repeat(level + 1)}`)}`;
    if (last?.kind === 'list') last.text += `\n${line}`;
    else blocks.push({ kind: 'list', text: line });
  }
  return blocks;
}

function markerOf(properties: XmlNode | undefined, usual: boolean): 'bullet' | 'number' | null {
  for (const { name } of properties ? childElements(properties) : []) {
    if (name === 'buNone') return null;
    if (name === 'buAutoNum') return 'number';
    if (name === 'buChar' || name === 'buBlip') return 'bullet';
  }
  return usual ? 'bullet' : null;
}

/** A paragraph's runs and breaks; numbers of slides, which are a field, are nobody's words. */
export function paragraphText(paragraph: XmlNode): string {
  const parts: string[] = [];
  for (const run of childElements(paragraph)) {
    if (run.name === 'br') parts.push('\n');
    else if (run.name === 'r' || (run.name === 'fld' && run.attributes['type'] !== 'slidenum')) {
      const text = child(run, 't');
      if (text) parts.push(textOf(text));
    } else if (run.name === 'm' || run.name === 'AlternateContent') parts.push(mathText(run));
  }
  return parts.join('').replaceAll('\v', '\n').trim();
}

const mathText = (node: XmlNode): string => {
  const choice = child(node, 'Choice') ?? node;
  return [...mathRuns(choice)].map(textOf).join('');
};

function* mathRuns(node: XmlNode): Generator<XmlNode> {
  for (const element of childElements(node)) {
    if (element.name === 't') yield element;
    else yield* mathRuns(element);
  }
}
