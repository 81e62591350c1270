import PostalMime, { type Address, type Attachment, type Email } from 'postal-mime';
import { decodeText } from './decode.js';
import { readHtml } from './html-blocks.js';
import { asUnreadable, emptyDocument, type Parser, type ReadBounds } from './parsed.js';
import { cleanText, oneLine, TextBuilder } from './text-builder.js';

/** Messages within messages that are read; what is deeper is listed by name. */
const FORWARDS = 5;

/**
 * An email: its subject as heading, who wrote it to whom and when, its text (of two versions the HTML, which keeps lists and
 * tables), the names of what is attached, and each message that it forwards as a section below. Attached files are not
 * opened: uploaded by themselves they are documents of their own.
 */
export const emlParser: Parser = {
  contentType: 'message/rfc822',
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      // Saved by a program that thought it was a text: in UTF-16, which no mail is.
      const email = await readEmail(
        bytes.subarray(0, 100).includes(0) ? Buffer.from(decodeText(bytes)) : bytes,
        bounds,
      );
      if (email.headers.length === 0) throw new Error('it has no headers');
      await writeEmail(email, builder, bounds, 1);
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(email.subject ?? null);
    } catch (error) {
      throw asUnreadable(error, 'email');
    }
  },
};

const readEmail = (bytes: Uint8Array, { depth }: ReadBounds): Promise<Email> =>
  PostalMime.parse(bytes, { forceRfc822Attachments: true, maxNestingDepth: depth });

async function writeEmail(email: Email, builder: TextBuilder, bounds: ReadBounds, level: number): Promise<void> {
  builder.add('heading', oneLine(email.subject ?? ''), level);
  builder.add('paragraph', headLines(email).join('\n'));
  writeBody(email, builder);
  const forwarded = email.attachments.filter((part) => level <= FORWARDS && isMessage(part));
  const names = email.attachments.filter((part) => !forwarded.includes(part) && !part.related).map(nameOf);
  if (names.length > 0) builder.add('list', ['Attachments:', ...names.map((name) => `- ${name}`)].join('\n'));
  for (const { content } of forwarded) {
    if (typeof content === 'string') continue;
    await writeEmail(await readEmail(new Uint8Array(content), bounds), builder, bounds, level + 1);
  }
}

function headLines({ from, to, cc, date }: Email): string[] {
  const lines: [string, string][] = [
    ['From', from ? nameOfAddress(from) : ''],
    ['To', (to ?? []).map(nameOfAddress).join(', ')],
    ['Cc', (cc ?? []).map(nameOfAddress).join(', ')],
    ['Date', date ?? ''],
  ];
  return lines.filter(([, value]) => value !== '').map(([name, value]) => `${name}: ${oneLine(value)}`);
}

const nameOfAddress = ({ name, address, group }: Address): string => {
  if (group) return `${name}: ${group.map(nameOfAddress).join(', ')}`;
  return name === '' || name === address ? (address ?? '') : `${name} <${address ?? ''}>`;
};

function writeBody({ html, text }: Email, builder: TextBuilder): void {
  const before = builder.count;
  if (html) readHtml(html, builder);
  if (builder.count > before) return;
  for (const paragraph of cleanText(text ?? '').split(/\n[^\S\n]*\n/)) builder.add('paragraph', paragraph);
}

const isMessage = ({ mimeType }: Attachment): boolean => mimeType === 'message/rfc822';

const nameOf = ({ filename, mimeType }: Attachment): string =>
  oneLine(filename ?? '') || `without a name (${mimeType})`;
