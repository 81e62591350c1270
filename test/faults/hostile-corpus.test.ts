import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRange, type Range, shortly } from './bomb-range.js';

const data = new URL('../../../shared/data/hostile/', import.meta.url);

// Other people's broken files are too many for this repository. A fresh clone has none and leaves these tests out; CI
// must have them, or a lost folder would look like a pass.
// Parsers touch no engine, so one lane is enough.
const without = (!existsSync(data) && !process.env['CI']) || process.env['DATABASE_URL'] !== undefined;

const text = 'text';
const unsupported = 'unsupported_type';
const refused = ['unreadable_document', 'no_text_layer', 'empty_document', 'type_mismatch'];

/** How the files of a category may end: as their manifest says, in this service's codes. */
const allowed: Record<string, string[]> = {
  'archive-bomb': [unsupported],
  'csv-odd': [text],
  'html-scripts': [text],
  'office-embedded-recursion': [text],
  'office-encrypted': ['encrypted_document', unsupported],
  'office-external-refs': [text, 'empty_document'],
  'office-legacy': [unsupported],
  'office-long': [text],
  'office-revisions-comments': [text],
  'office-truncated': [text, unsupported, ...refused],
  'pdf-attachments': [text, 'no_text_layer'],
  'pdf-bomb': ['parser_memory', 'parser_timeout'],
  // issue14130.pdf is whole again, and only asks for Adobe Reader.
  'pdf-damaged-recoverable': [text, 'no_text_layer'],
  'pdf-encrypted-opens': [text],
  'pdf-encrypted-password': ['encrypted_document'],
  'pdf-forms': [text, 'no_text_layer'],
  'pdf-fuzzed': [text, ...refused],
  'pdf-multicolumn': [text],
  'pdf-ocr-layer': [text],
  'pdf-rotated': [text],
  'pdf-scanned-no-text': ['no_text_layer'],
  'pdf-tables': [text],
  // empty.pdf is.
  'pdf-text-traps': [text, 'no_text_layer'],
  'pdf-unreadable': [text, ...refused],
  'text-empty': ['empty_file', 'empty_document'],
  // Two of them are an Outlook message and a Rich Text file.
  'text-encodings': [text, unsupported],
  'text-long': [text],
  'xlsx-odd': [text],
};

interface File {
  category: string;
  path: string;
}

const files: File[] = without
  ? []
  : (await readFile(new URL('manifest.jsonl', data), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as File);
const categories = [...new Set(files.map(({ category }) => category))];

describe.skipIf(without)('files that were made to be hard to read', () => {
  let range: Range;
  let short: Range;

  beforeAll(async () => {
    range = await openRange();
    short = await openRange(shortly);
  });
  afterAll(() => Promise.all([range?.close(), short?.close()]));

  it.each(categories)('%s: each ends as text or by a name that fits', async (category) => {
    const ends: Record<string, string> = {};
    const read = (category === 'pdf-bomb' ? short : range).endOf;
    const waiting = files.filter((file) => file.category === category);
    const readThem = async () => {
      for (let file = waiting.pop(); file; file = waiting.pop())
        ends[file.path] = await read(file.path.replaceAll('/', '_'), await readFile(new URL(file.path, data)));
    };
    await Promise.all([readThem(), readThem()]);
    const wrong = Object.entries(ends).filter(([, end]) => !(allowed[category] ?? [text]).includes(end));
    expect(Object.fromEntries(wrong), fileURLToPath(data)).toEqual({});
  });
});
