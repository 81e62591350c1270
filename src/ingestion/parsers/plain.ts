import { decodeText } from './decode.js';
import { emptyDocument, type Parser } from './parsed.js';
import { cleanText, TextBuilder } from './text-builder.js';

/** Plain text in any encoding `decodeText` knows: paragraphs are what blank lines separate. It has no title of its own. */
export const plainParser: Parser = {
  contentType: 'text/plain',
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    for (const paragraph of cleanText(decodeText(bytes)).split(/\n[^\S\n]*\n/)) builder.add('paragraph', paragraph);
    if (builder.isEmpty) throw emptyDocument();
    return builder.finish(null);
  },
};
