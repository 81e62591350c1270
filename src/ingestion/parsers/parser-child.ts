import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { PermanentFailure } from '../../errors.js';
import { type ParseReply, type ParseRequest, resultFile } from './parse-protocol.js';
import { asUnreadable } from './parsed.js';
import { parserFor } from './registry.js';
import { sniff } from './sniff.js';
import { oneLine } from './text-builder.js';

// The entry of the parser process. It reads one request from standard input, parses, and writes one reply to a file in
// its working directory: a result can be 60 MB of JSON, and a file that was renamed into place is never half of one.

// A parser has no business on the network. Libraries that were talked into a request fail here, before any packet.
Socket.prototype.connect = () => {
  throw new Error('the parser process makes no connections');
};

// A parser that is busy sees neither signals nor a closed pipe, so a thread looks whether the parent is still there.
new Worker(
  `const parent = process.ppid;
   setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);`,
  { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 } },
).unref();

async function answer(bytes: Buffer, { hint, textChars, pages }: ParseRequest): Promise<ParseReply> {
  const contentType = await sniff(bytes, hint);
  const parser = await parserFor(contentType);
  const parsed = await parser.parse(bytes, { textChars, pages });
  return { contentType, parsed, maxRssMb: Math.round(process.resourceUsage().maxRSS / 1024) };
}

function named(error: unknown): ParseReply {
  const failure =
    error instanceof RangeError && /(allocation|array|string|buffer)/i.test(error.message)
      ? new PermanentFailure(
          'parser_memory',
          'Reading the file took more memory than is allowed: split or simplify it.',
        )
      : asUnreadable(error, 'document of its kind');
  return { failure: { code: failure.code, message: oneLine(failure.message), retryable: failure.retryable } };
}

const request = JSON.parse(readFileSync(0, 'utf8')) as ParseRequest;
// A file that is not there is no fault of the document: that error leaves as a crash, and may be tried again.
const bytes = readFileSync(request.path);
const reply = await answer(bytes, request).catch(named);
writeFileSync(`${resultFile}.part`, JSON.stringify(reply));
renameSync(`${resultFile}.part`, resultFile);
process.exit(0);
