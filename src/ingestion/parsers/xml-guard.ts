import { PermanentFailure } from '../../errors.js';
import { nestingTooDeep } from './parsed.js';

const LT = 0x3c;
const GT = 0x3e;
const SLASH = 0x2f;
const BANG = 0x21;
const QUESTION = 0x3f;

/**
 * Looks through an XML part before any parser sees it, in one pass over its bytes and without building anything.
 * Throws `nesting_too_deep` past `maxDepth` levels, and `unsafe_document` for a DTD: entities are how XML reads other people's
 * files and how kilobytes become gigabytes, and no office document has a use for them.
 */
export function guardXml(xml: Buffer, maxDepth: number): void {
  let depth = 0;
  for (let at = xml.indexOf(LT); at >= 0 && at < xml.length; at = xml.indexOf(LT, at)) {
    const next = xml[at + 1];
    if (next === BANG) {
      at = skipDeclaration(xml, at);
    } else if (next === QUESTION) {
      at = after(xml, '?>', at);
    } else {
      const end = endOfTag(xml, at + 1);
      if (next === SLASH) depth -= 1;
      else if (xml[end - 1] !== SLASH) depth += 1;
      if (depth > maxDepth) throw nestingTooDeep();
      at = end + 1;
    }
  }
}

function skipDeclaration(xml: Buffer, at: number): number {
  if (xml.toString('latin1', at, at + 4) === '<!--') return after(xml, '-->', at + 4);
  if (xml.toString('latin1', at, at + 9) === '<![CDATA[') return after(xml, ']]>', at + 9);
  throw new PermanentFailure(
    'unsafe_document',
    'The file carries a document type definition, which office documents never need: it was not opened.',
  );
}

function after(xml: Buffer, mark: string, from: number): number {
  const found = xml.indexOf(mark, from, 'latin1');
  return found < 0 ? xml.length : found + mark.length;
}

/** The offset of the `>` that ends the tag; one inside a quoted value does not. */
function endOfTag(xml: Buffer, from: number): number {
  let quote = 0;
  for (let at = from; at < xml.length; at += 1) {
    const byte = xml[at]!;
    if (quote !== 0) {
      if (byte === quote) quote = 0;
    } else if (byte === 0x22 || byte === 0x27) quote = byte;
    else if (byte === GT) return at;
  }
  return xml.length;
}
