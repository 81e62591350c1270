import { decodeText } from './decode.js';
import { readMarkdown } from './markdown.js';
import { withoutJsx } from './mdx-syntax.js';
import { asUnreadable, emptyDocument, type Parser } from './parsed.js';
import { TextBuilder } from './text-builder.js';

/** Markdown with components: imports, exports and expressions are dropped, tags too; what stands between tags is read. */
export const mdxParser: Parser = {
  contentType: 'text/mdx',
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const title = readMarkdown(withoutJsx(decodeText(bytes).replace(/\r\n?/g, '\n')), builder, false);
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(title ?? builder.firstHeading());
    } catch (error) {
      throw asUnreadable(error, 'MDX document');
    }
  },
};
