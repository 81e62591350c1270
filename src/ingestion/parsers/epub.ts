import { posix } from 'node:path';
import { PermanentFailure } from '../../errors.js';
import { Archive } from './archive.js';
import { declaredCharset, decodeText } from './decode.js';
import { partName, tocLabels } from './epub-toc.js';
import { readHtml } from './html-blocks.js';
import { asUnreadable, emptyDocument, type Parser, type ReadBounds } from './parsed.js';
import { TextBuilder } from './text-builder.js';
import { meaningfulTitle } from './title.js';
import { child, childElements, descendants, textOf, type XmlNode, xmlTree } from './xml-tree.js';

interface Item {
  href: string;
  type: string;
  properties: string;
}

/**
 * EPUB books: first the authors and the description, then the chapters in the order of the spine, each read as HTML; one
 * without a heading takes the name that the table of contents gives it. The table of contents itself is not read. A book
 * whose text is encrypted is refused by name; encrypted fonts do not matter.
 */
export const epubParser: Parser = {
  contentType: 'application/epub+zip',
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const archive = new Archive(bytes, bounds);
      refuseLocked(archive, bounds);
      const opf = packageName(archive, bounds);
      const book = readXmlPart(archive, opf, bounds);
      writeMetadata(book, builder);
      writeChapters(archive, posix.dirname(opf), book, builder);
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(meaningfulTitle(textsOf(book, 'title')[0]) ?? builder.firstHeading());
    } catch (error) {
      throw asUnreadable(error, 'EPUB book');
    }
  },
};

function readXmlPart(archive: Archive, name: string, { depth }: ReadBounds): XmlNode {
  const xml = archive.read(name);
  if (!xml) throw new Error(`${name} is missing`);
  return xmlTree(xml, depth);
}

function packageName(archive: Archive, bounds: ReadBounds): string {
  const container = readXmlPart(archive, 'META-INF/container.xml', bounds);
  const name = child(container, 'rootfiles', 'rootfile')?.attributes['full-path'];
  if (!name) throw new Error('the container names no book');
  return posix.normalize(name);
}

/** Readers shuffle the bytes of fonts by one of these two; anything else is there to keep the book closed. */
const FONTS_ONLY = /^http:\/\/(?:www\.idpf\.org\/2008\/embedding|ns\.adobe\.com\/pdf\/enc#RC)$/;

function refuseLocked(archive: Archive, { depth }: ReadBounds): void {
  const xml = archive.read('META-INF/encryption.xml');
  if (!xml) return;
  for (const { attributes } of descendants(xmlTree(xml, depth), 'EncryptionMethod')) {
    if (!FONTS_ONLY.test(attributes['Algorithm'] ?? ''))
      throw new PermanentFailure(
        'encrypted_document',
        'The book is protected against copying: upload it without that.',
      );
  }
}

function textsOf(book: XmlNode, name: string): string[] {
  const metadata = child(book, 'metadata');
  return (metadata ? [...descendants(metadata, name)] : [])
    .map((node) => textOf(node).trim())
    .filter((text) => text !== '');
}

function writeMetadata(book: XmlNode, builder: TextBuilder): void {
  const authors = textsOf(book, 'creator');
  const [description = ''] = textsOf(book, 'description');
  if (authors.length > 0) builder.add('paragraph', `Authors: ${authors.join(', ')}`);
  if (description !== '') readHtml(description, builder);
}

function writeChapters(archive: Archive, folder: string, book: XmlNode, builder: TextBuilder): void {
  const items = new Map<string, Item>();
  const manifest = child(book, 'manifest');
  for (const { attributes } of manifest ? childElements(manifest) : []) {
    const { id = '', href = '', 'media-type': type = '', properties = '' } = attributes;
    items.set(id, { href: partName(folder, href), type, properties });
  }
  const labels = tocLabels(archive, [...items.values()]);
  const spine = child(book, 'spine');
  const read = new Set<string>();
  for (const { attributes } of spine ? childElements(spine) : []) {
    const item = items.get(attributes['idref'] ?? '');
    // A spine that goes in circles is read once around.
    if (!item || read.has(item.href) || item.properties.split(' ').includes('nav')) continue;
    read.add(item.href);
    const chapter = /html/i.test(item.type) ? archive.read(item.href) : null;
    if (chapter) writeChapter(chapter, labels.get(item.href), builder);
  }
}

function writeChapter(chapter: Buffer, label: string | undefined, builder: TextBuilder): void {
  const html = withoutSelfClosing(decodeText(chapter, declaredCharset(chapter)));
  if (label && !/<h[1-6][\s>]/i.test(html) && />[^<>]*[\p{L}\p{N}]/u.test(bodyOf(html)))
    builder.add('heading', label, 1);
  readHtml(html, builder);
}

const bodyOf = (html: string): string => html.slice(Math.max(0, html.search(/<body[\s>]/i)));

const SELF_CLOSING =
  /<((?!(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b)[a-z][\w:-]*)(\s[^<>]*)?\/>/gi;

/** XHTML may close a title, a script or an anchor at once; for HTML it would then swallow what follows. */
const withoutSelfClosing = (xhtml: string): string => xhtml.replace(SELF_CLOSING, '<$1$2></$1>');
