import { type DefaultTreeAdapterTypes, defaultTreeAdapter, parse } from 'parse5';
import { nestingTooDeep } from './parsed.js';

export type Element = DefaultTreeAdapterTypes.Element;
type ParentNode = DefaultTreeAdapterTypes.ParentNode;
type ChildNode = DefaultTreeAdapterTypes.ChildNode;

/** Browsers stop nesting at 512; the reader costs tags x depth, so the bound is what keeps it linear. */
export const maxDepth = 1_024;

const depths = new WeakMap<object, number>();

function deepen(parent: object, child: object): void {
  const depth = (depths.get(parent) ?? 0) + 1;
  // Thrown while the tree grows: 100,000 nested <div> cost parse5 minutes, the first 1,024 of them milliseconds.
  if (depth > maxDepth) throw nestingTooDeep();
  depths.set(child, depth);
}

const boundedAdapter: typeof defaultTreeAdapter = {
  ...defaultTreeAdapter,
  appendChild(parent, child) {
    deepen(parent, child);
    defaultTreeAdapter.appendChild(parent, child);
  },
  insertBefore(parent, child, reference) {
    deepen(parent, child);
    defaultTreeAdapter.insertBefore(parent, child, reference);
  },
};

/** An HTML document or fragment as a tree. Throws `nesting_too_deep`. */
export const parseHtml = (html: string): ParentNode => parse(html, { treeAdapter: boundedAdapter });

export const isElement = (node: ChildNode): node is Element => 'tagName' in node;

export const isText = (node: ChildNode): node is DefaultTreeAdapterTypes.TextNode => node.nodeName === '#text';

export const attribute = (element: Element, name: string): string | null =>
  element.attrs.find((attr) => attr.name === name)?.value ?? null;

export interface Visitor {
  text(value: string): void;
  /** Returning false skips the element, its content and its `leave`. */
  enter(element: Element): boolean;
  leave(element: Element): void;
}

/** Visits a tree in document order without recursion: its depth is the uploader's choice, the JS stack is ours. */
export function walk(root: ParentNode, visitor: Visitor): void {
  const open: { element: Element | null; children: ChildNode[]; next: number }[] = [];
  open.push({ element: null, children: root.childNodes, next: 0 });
  for (let frame = open.at(-1); frame; frame = open.at(-1)) {
    const node = frame.children[frame.next];
    frame.next += 1;
    if (!node) {
      open.pop();
      if (frame.element) visitor.leave(frame.element);
    } else if (isText(node)) {
      visitor.text(node.value);
    } else if (isElement(node) && visitor.enter(node)) {
      open.push({ element: node, children: node.childNodes, next: 0 });
    }
  }
}
