import { SaxesParser } from 'saxes';
import { decodeText, declaredCharset } from './decode.js';
import { guardXml } from './xml-guard.js';

/** `name` and the keys of `attributes` are without their namespace prefix, but for attributes that have one: `r:id`. */
export interface XmlNode {
  name: string;
  attributes: Readonly<Record<string, string>>;
  children: (XmlNode | string)[];
}

export interface XmlVisitor {
  open(name: string, attributes: Readonly<Record<string, string>>): void;
  close(name: string): void;
  text(value: string): void;
}

const localName = (name: string): string => name.slice(name.indexOf(':') + 1);

/**
 * Tells `visitor` what an XML part holds, in order, without building anything.
 * Throws `nesting_too_deep` and `unsafe_document` (see `guardXml`), and an Error where it is not well-formed.
 */
export function readXml(xml: Buffer, maxDepth: number, visitor: XmlVisitor): void {
  const text = decodeText(xml, declaredCharset(xml)).replace(/^\ufeff/, '');
  // The guard counts bytes of UTF-8: a part in another encoding would pass it unseen.
  guardXml(xml.subarray(0, 2).every((byte) => byte < 0x80) ? xml : Buffer.from(text), maxDepth);
  const parser = new SaxesParser();
  parser.on('opentag', ({ name, attributes }) => visitor.open(localName(name), attributes));
  parser.on('closetag', ({ name }) => visitor.close(localName(name)));
  parser.on('text', (value) => visitor.text(value));
  parser.on('cdata', (value) => visitor.text(value));
  parser.write(text).close();
}

/** The same as a tree, for parts of some size at most. */
export function xmlTree(xml: Buffer, maxDepth: number): XmlNode {
  const root: XmlNode = { name: '', attributes: {}, children: [] };
  const open = [root];
  readXml(xml, maxDepth, {
    open(name, attributes) {
      const node: XmlNode = { name, attributes, children: [] };
      open.at(-1)!.children.push(node);
      open.push(node);
    },
    close: () => void open.pop(),
    text: (value) => void open.at(-1)!.children.push(value),
  });
  return childElements(root)[0] ?? root;
}

export const childElements = (node: XmlNode): XmlNode[] =>
  node.children.filter((part): part is XmlNode => typeof part !== 'string');

/** The first element at the end of a path of names: `child(slide, 'cSld', 'spTree')`. */
export function child(node: XmlNode | undefined, ...path: string[]): XmlNode | undefined {
  let at = node;
  for (const name of path) at = at && childElements(at).find((element) => element.name === name);
  return at;
}

/** All elements of these names below `node`, in document order; what is inside of one is not looked through. */
export function* descendants(node: XmlNode, ...names: string[]): Generator<XmlNode> {
  const waiting = childElements(node).toReversed();
  for (let at = waiting.pop(); at; at = waiting.pop()) {
    if (names.includes(at.name)) yield at;
    else waiting.push(...childElements(at).toReversed());
  }
}

/** The text of an element and of all that is in it. */
export function textOf(node: XmlNode): string {
  const parts: string[] = [];
  const waiting: (XmlNode | string)[] = [node];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (typeof at === 'string') parts.push(at);
    else waiting.push(...at.children.toReversed());
  }
  return parts.join('');
}

/** The relationship that an element names: its `r:id`, `r:embed` or the like, whatever the prefix. */
export function relationId(attributes: Readonly<Record<string, string>>): string | undefined {
  for (const key in attributes) if (/:(?:id|embed|link|dm|pict)$/.test(key)) return attributes[key];
  return undefined;
}
