import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { FromLauncher, LaunchOrder, ToLauncher } from './launch-protocol.js';
import { verdictPipe } from './parse-protocol.js';
import { spawnParser } from './parser-command.js';

// The entry of the launcher. It holds nothing and reads no document: it starts parser processes, hands on lines to them and
// their short verdicts back. When the service is gone, so are they.

interface Child {
  process: ChildProcess;
  /** How many verdicts it owes: one when it has started, and one for each line. One that was taken over may send more. */
  owes: number;
}

const children = new Map<number, Child>();
const complaintChars = 8_000;
const verdictChars = 20;

function start(id: number, order: LaunchOrder): void {
  const child = spawnParser(order);
  const own: Child = { process: child, owes: 1 };
  children.set(id, own);
  let complaint = '';
  child.stdin?.on('error', () => {}); // it died before it read its request: the ending tells why
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-complaintChars);
  });
  createInterface({ input: child.stdio[verdictPipe] as Readable }).on('line', (line) => {
    if (own.owes-- > 0) tell({ id, verdict: line.slice(0, verdictChars) });
  });
  if (child.pid !== undefined) tell({ id, pid: child.pid });
  const end = (how: number | string) => {
    if (children.delete(id)) tell({ id, ending: { how, complaint } });
  };
  child.once('error', (error) => end(error.message));
  child.once('close', (code, signal) => end(code ?? signal ?? 'unknown'));
}

function hand(id: number, line: string): void {
  const child = children.get(id);
  if (!child) return;
  child.owes = 1;
  child.process.stdin?.write(`${line}\n`);
}

function tell(what: FromLauncher): void {
  if (process.connected) process.send?.(what);
}

process.on('message', (order: ToLauncher) => {
  if ('start' in order) start(order.id, order.start);
  else if ('line' in order) hand(order.id, order.line);
  else children.get(order.id)?.process.kill('SIGKILL');
});

process.once('disconnect', () => {
  for (const { process: child } of children.values()) child.kill('SIGKILL');
  process.exit(0);
});
