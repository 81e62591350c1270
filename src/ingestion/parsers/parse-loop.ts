import { readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PermanentFailure } from '../../errors.js';
import { closeNetwork, followParent, watchGlobals } from './child-isolation.js';
import {
  inputFile,
  type ParseReply,
  type ParseRequest,
  resultFile,
  type Verdict,
  verdictPipe,
} from './parse-protocol.js';
import { asUnreadable } from './parsed.js';
import { oneLine } from './text-builder.js';

/**
 * The child's side of the protocol: one request a line from standard input, until it ends. A reply goes to a file,
 * because it can be 60 MB of JSON, and a file that was renamed into place is never half of one. First and after each
 * reply the process says whether it is as it was before: one that is not must not see another document.
 */
export async function serveParses(parse: (bytes: Buffer, request: ParseRequest) => Promise<ParseReply>): Promise<void> {
  closeNetwork();
  followParent();
  const globalsAreUntouched = watchGlobals();
  const requests = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  let resources = -1;
  say('ready');
  for (let next = await requests.next(); !next.done; next = await requests.next()) {
    const request = JSON.parse(next.value) as ParseRequest;
    // Counted here and not at the start: the pipe of the requests is a resource as well.
    if (resources < 0) resources = process.getActiveResourcesInfo().length;
    const reply = await parse(readFileSync(inputFile), request).catch(named);
    writeFileSync(`${resultFile}.part`, JSON.stringify(reply));
    renameSync(`${resultFile}.part`, resultFile);
    await nextTurn();
    const trusted = !('failure' in reply) || atTheDoor.has(reply.failure.code);
    const asBefore = trusted && globalsAreUntouched() && process.getActiveResourcesInfo().length <= resources;
    say(asBefore ? 'ready' : 'spent');
  }
  process.exit(0);
}

// Said before any parser has seen the file: there is nothing that one could have left half done.
const atTheDoor = new Set(['empty_file', 'type_mismatch', 'unsupported_type']);

const say = (verdict: Verdict): void => {
  writeSync(verdictPipe, `${verdict}\n`);
};

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
