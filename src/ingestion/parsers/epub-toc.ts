import { posix } from 'node:path';
import type { Archive } from './archive.js';
import { declaredCharset, decodeText } from './decode.js';
import { attribute, parseHtml, walk } from './html-tree.js';
import { oneLine } from './text-builder.js';

/** The name of the part that a reference means: without its fragment, unescaped, relative to `folder`. */
export function partName(folder: string, href: string): string {
  const path = href.replace(/#.*$/, '');
  try {
    return posix.join(folder, decodeURIComponent(path));
  } catch {
    return posix.join(folder, path);
  }
}

/**
 * What the table of contents calls each part: the first name of each, from the navigation document of EPUB 3, or the NCX of
 * EPUB 2. Both are read as HTML: an NCX carries a document type, which the XML reader refuses.
 */
export function tocLabels(
  archive: Archive,
  items: readonly { href: string; type: string; properties: string }[],
): Map<string, string> {
  const labels = new Map<string, string>();
  const toc =
    items.find(({ properties }) => properties.split(' ').includes('nav')) ??
    items.find(({ type }) => type === 'application/x-dtbncx+xml');
  const bytes = toc && archive.read(toc.href);
  if (!toc || !bytes) return labels;
  const name = (href: string, label: string) => {
    const part = partName(posix.dirname(toc.href), href);
    if (label !== '' && !labels.has(part)) labels.set(part, label);
  };
  let words: string[] = [];
  walk(parseHtml(decodeText(bytes, declaredCharset(bytes))), {
    text: (value) => void words.push(value),
    enter(element) {
      if (element.tagName === 'a' || element.tagName === 'navlabel') words = [];
      if (element.tagName === 'content') name(attribute(element, 'src') ?? '', oneLine(words.join('')));
      return true;
    },
    leave(element) {
      if (element.tagName === 'a') name(attribute(element, 'href') ?? '', oneLine(words.join('')));
    },
  });
  return labels;
}
