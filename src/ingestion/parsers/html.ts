import { declaredCharset, decodeText } from './decode.js';
import { readHtml } from './html-blocks.js';
import { asUnreadable, emptyDocument, type Parser } from './parsed.js';
import { TextBuilder } from './text-builder.js';

/** HTML in its declared or detected charset. The title is `<title>`, or else the first level-1 heading. */
export const htmlParser: Parser = {
  contentType: 'text/html',
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const title = readHtml(decodeText(bytes, declaredCharset(bytes)), builder);
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(title?.trim() || builder.firstHeading());
    } catch (error) {
      throw asUnreadable(error, 'HTML document');
    }
  },
};
