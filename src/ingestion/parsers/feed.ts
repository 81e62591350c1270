import { readHtml } from './html-blocks.js';
import { asUnreadable, emptyDocument, FEED, type Parser } from './parsed.js';
import { oneLine, TextBuilder } from './text-builder.js';
import { child, childElements, descendants, textOf, type XmlNode, xmlTree } from './xml-tree.js';

/**
 * Feeds (RSS 0.9 to 2.0, Atom): the title, and under a heading each what its entries say, with the day they name. The whole
 * text of an entry (`content:encoded`, `content`) is taken before its summary.
 */
export const feedParser: Parser = {
  contentType: FEED,
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const root = xmlTree(bytes, bounds.depth);
      const channel = child(root, 'channel') ?? root;
      const title = said(channel, 'title');
      builder.add('heading', title, 1);
      readHtml(said(channel, 'description', 'subtitle'), builder);
      for (const entry of descendants(root, 'item', 'entry')) readEntry(entry, builder);
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(title.slice(0, 300) || null);
    } catch (error) {
      throw asUnreadable(error, 'feed');
    }
  },
};

function readEntry(entry: XmlNode, builder: TextBuilder): void {
  builder.add('heading', said(entry, 'title'), 2);
  builder.add('paragraph', said(entry, 'pubDate', 'published', 'updated', 'date'));
  readHtml(said(entry, 'encoded', 'content', 'description', 'summary'), builder);
}

/** The text of the first of these elements that holds any. */
function said(node: XmlNode, ...names: string[]): string {
  for (const name of names) {
    const found = childElements(node).find((element) => element.name === name && textOf(element).trim() !== '');
    if (found) return name === 'title' ? oneLine(textOf(found)) : textOf(found);
  }
  return '';
}
