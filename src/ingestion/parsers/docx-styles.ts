import { child, childElements, type XmlNode, xmlTree } from './xml-tree.js';

const DEEPEST_CHAIN = 20;

/**
 * mammoth's style map for headings that it does not know by name: the document's title, and styles of somebody's own that
 * are based on a heading or stand on a level of the outline. Names that could break out of the map are left out.
 */
export function headingStyles(xml: Buffer | undefined, maxDepth: number): string[] {
  const map = ["p[style-name='Title'] => h1:fresh"];
  if (!xml) return map;
  const styles = new Map<string, XmlNode>();
  for (const style of childElements(xmlTree(xml, maxDepth))) {
    if (style.name === 'style' && style.attributes['w:type'] === 'paragraph')
      styles.set(style.attributes['w:styleId'] ?? '', style);
  }
  for (const style of styles.values()) {
    const name = value(style, 'name') ?? '';
    const level = levelOf(style, styles);
    if (level > 0 && !headingOf(name) && /^[^'\\\n]{1,100}$/.test(name))
      map.push(`p[style-name='${name}'] => h${level}:fresh`);
  }
  return map;
}

/** 1 to 6, or 0 for a style that is no heading; a style that is told to be body text is none, whatever it is based on. */
function levelOf(style: XmlNode, styles: ReadonlyMap<string, XmlNode>): number {
  let at: XmlNode | undefined = style;
  for (let steps = 0; at && steps < DEEPEST_CHAIN; steps += 1) {
    const outline = child(at, 'pPr', 'outlineLvl')?.attributes['w:val'];
    if (outline !== undefined) return Number(outline) < 6 ? Number(outline) + 1 : 0;
    const level = headingOf(value(at, 'name') ?? '');
    if (level) return level;
    at = styles.get(value(at, 'basedOn') ?? '');
  }
  return 0;
}

const headingOf = (name: string): number => Number(/^heading ([1-6])$/i.exec(name)?.[1] ?? 0);

const value = (style: XmlNode, name: string): string | undefined => child(style, name)?.attributes['w:val'];
