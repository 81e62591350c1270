import type { WireError } from './wire.js';

/** The engine's thread is gone, and with it whatever was not committed. */
export class ThreadLost extends Error {
  constructor(readonly wire: WireError) {
    super(wire.message);
  }
}

// What is known is only that no answer came: of a commit it was too late to hear, the effect may be there.
const UNDONE = 'The embedded engine was restarted. Its transaction is undone, unless it was just being committed.';

/** The deadline passed. 57014 is what a server's `statement_timeout` answers. */
export const overdue = (deadlineMs: number): ThreadLost =>
  new ThreadLost({
    code: '57014',
    message: `canceling statement due to statement timeout: it ran longer than ${deadlineMs} ms`,
    detail: UNDONE,
  });

/** The thread died by itself. */
export const stopped = (reason: string): ThreadLost =>
  new ThreadLost({ code: '57P01', message: `the embedded database stopped (${reason})`, detail: UNDONE });

/** The database could not be reopened. */
export const notOpen = (error: unknown): WireError => ({
  code: '57P03',
  message: error instanceof Error ? error.message : String(error),
});

/** A transaction held the engine without using it. */
export const idleInTransaction = (limitMs: number): WireError => ({
  code: '25P03',
  message: `terminating transaction: idle for ${limitMs} ms while other clients waited for the embedded database`,
  hint: 'Inside a transaction, use its own client for every query: another client has to wait until it ends.',
});
