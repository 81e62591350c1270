import { isUtf8 } from 'node:buffer';

/**
 * Bytes of a text format to a string. In this order: a byte order mark (UTF-8, UTF-16, UTF-32), valid UTF-8, UTF-16 told
 * by its NUL bytes, the declared charset, UTF-8 with a few broken bytes (they become U+FFFD), Shift_JIS that cannot be a
 * Western text, Windows-1252. Valid UTF-8 is believed before a declaration, because declarations are copied from templates
 * and multi-byte UTF-8 is no accident.
 * @param declared a charset label, e.g. from `<meta charset>`; unknown labels are ignored
 */
export function decodeText(bytes: Buffer, declared: string | null = null): string {
  const marked = fromByteOrderMark(bytes);
  if (marked !== null) return marked;
  const decoder = decoderFor(declared);
  // ISO-2022-JP is written in ASCII bytes, so it always passes as UTF-8.
  if (decoder?.encoding === 'iso-2022-jp') return decoder.decode(bytes);
  const wide = unmarkedUtf16(bytes);
  if (wide) return new TextDecoder(wide).decode(bytes);
  if (isUtf8(bytes)) return bytes.toString('utf8');
  if (decoder && decoder.encoding !== 'utf-8') return decodeLegacy(bytes, decoder);
  const lenient = bytes.toString('utf8');
  if (mostlyUtf8(lenient)) return lenient;
  return isShiftJis(bytes) ? new TextDecoder('shift_jis').decode(bytes) : decodeWindows1252(bytes);
}

/** The charset that an HTML or XML prologue declares, or null. Looks at the first 64 KiB, as ASCII, without comments. */
export function declaredCharset(bytes: Buffer): string | null {
  const head = withoutComments(bytes.subarray(0, 64 * 1024).toString('latin1'));
  const meta = /<meta\s[^<>]{0,500}?\bcharset\s*=\s*["']?\s*([\w.:-]+)/i.exec(head);
  const xml = /^\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([\w.:-]+)["']/i.exec(head);
  return meta?.[1] ?? xml?.[1] ?? null;
}

const decodeLegacy = (bytes: Buffer, decoder: InstanceType<typeof TextDecoder>): string =>
  decoder.encoding === 'windows-1252' ? decodeWindows1252(bytes) : decoder.decode(bytes);

// 0x80 to 0x9f; the five that Windows leaves undefined stay what they are in Latin-1.
const WINDOWS_1252 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

/** Node's own TextDecoder takes windows-1252 for Latin-1 (20.20), which turns curly quotes and dashes into controls. */
const decodeWindows1252 = (bytes: Buffer): string =>
  bytes.toString('latin1').replace(/[\u0080-\u009f]/g, (char) => WINDOWS_1252[char.charCodeAt(0) - 0x80]!);

/** By hand: a pattern that looks for the end of every "<!--" takes quadratic time when there is none. */
function withoutComments(head: string): string {
  let rest = '';
  for (let from = 0; ;) {
    const open = head.indexOf('<!--', from);
    if (open < 0) return rest + head.slice(from);
    rest += head.slice(from, open);
    const close = head.indexOf('-->', open);
    if (close < 0) return rest;
    from = close + 3;
  }
}

function decoderFor(label: string | null): InstanceType<typeof TextDecoder> | null {
  if (!label) return null;
  try {
    const decoder = new TextDecoder(label);
    // A page that names UTF-16 in ASCII letters is not in UTF-16 (WHATWG encoding sniffing says the same).
    return decoder.encoding.startsWith('utf-16') ? null : decoder;
  } catch {
    return null; // a label nobody knows says nothing about the bytes
  }
}

function fromByteOrderMark(bytes: Buffer): string | null {
  const [a, b, c, d] = bytes;
  if (a === 0xff && b === 0xfe && c === 0 && d === 0) return decodeUtf32(bytes.subarray(4), true);
  if (a === 0 && b === 0 && c === 0xfe && d === 0xff) return decodeUtf32(bytes.subarray(4), false);
  if (a === 0xff && b === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (a === 0xfe && b === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  if (a === 0xef && b === 0xbb && c === 0xbf) return new TextDecoder('utf-8').decode(bytes);
  return null;
}

/** TextDecoder knows no UTF-32. Values outside Unicode become U+FFFD; a trailing part of a unit is dropped. */
function decodeUtf32(bytes: Buffer, littleEndian: boolean): string {
  const parts: string[] = [];
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const code = littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
    parts.push(code > 0x10ffff ? '\ufffd' : String.fromCodePoint(code));
  }
  return parts.join('');
}

/** Western text in UTF-16 without a mark: nearly every other byte is NUL, always on the same side. */
function unmarkedUtf16(bytes: Buffer): 'utf-16le' | 'utf-16be' | null {
  const sample = bytes.subarray(0, 1024);
  const pairs = sample.length >> 1;
  if (pairs < 4) return null;
  let high = 0;
  let low = 0;
  for (let at = 0; at + 1 < sample.length; at += 2) {
    if (sample[at] === 0) high += 1;
    if (sample[at + 1] === 0) low += 1;
  }
  if (low > pairs * 0.7 && high < pairs * 0.05) return 'utf-16le';
  return high > pairs * 0.7 && low < pairs * 0.05 ? 'utf-16be' : null;
}

/** A UTF-8 file with a few broken bytes still has far more whole multi-byte letters than breaks. */
function mostlyUtf8(lenient: string): boolean {
  let broken = 0;
  let whole = 0;
  for (let at = 0; at < lenient.length; at += 1) {
    const code = lenient.charCodeAt(at);
    if (code === 0xfffd) broken += 1;
    else if (code > 0x7f) whole += 1;
  }
  return whole > broken * 3;
}

/** Pairs of bytes that begin like quotes and dashes in Windows-1252, in runs, as letters of Western words never stand. */
function isShiftJis(bytes: Buffer): boolean {
  let pairs = 0;
  let runs = 0;
  let inRun = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const lead = bytes[at]!;
    if (lead < 0x80 || (lead >= 0xa1 && lead <= 0xdf)) {
      inRun = false;
      continue;
    }
    const trail = bytes[at + 1] ?? 0;
    if (lead === 0x80 || lead === 0xa0 || lead > 0xfc || trail < 0x40 || trail === 0x7f || trail > 0xfc) return false;
    if (!inRun) runs += 1;
    inRun = true;
    pairs += 1;
    at += 1;
  }
  return pairs >= 4 && pairs >= 2 * runs;
}
