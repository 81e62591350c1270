import type { ParseReply, ParseRequest } from './parse-protocol.js';
import { serveParses } from './parse-loop.js';
import { contentTypes, parserFor } from './registry.js';
import { sniff } from './sniff.js';

// The entry of the parser process.

async function parse(bytes: Buffer, { hint, bounds }: ParseRequest): Promise<ParseReply> {
  const contentType = await sniff(bytes, hint, bounds);
  const parser = await parserFor(contentType);
  return { contentType, parsed: await parser.parse(bytes, bounds) };
}

// pdf.js asks for these when it loads, and would take them from a native drawing library, which is not let in here. They
// are never used: text is read and nothing is drawn.
for (const name of ['DOMMatrix', 'ImageData', 'Path2D']) Reflect.set(globalThis, name, class {});

// All of them now: what a library does to the globals while it loads must not be taken for a document's doing.
await Promise.all(contentTypes.map(parserFor));
await serveParses(parse);
