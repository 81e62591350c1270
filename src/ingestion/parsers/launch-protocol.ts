import type { Lane } from '../../knowledge/revisions.js';

/** How a parser process is started: in which folder, with how much V8 heap in MiB, at which priority. */
export interface LaunchOrder {
  folder: string;
  heapMb: number;
  lane: Lane;
  /** Another program that speaks the protocol: tests play a parser that misbehaves. */
  entry?: string;
}

/** From the service to the launcher: start a process under this number, hand it a line, or kill it. */
export type ToLauncher = { id: number } & ({ start: LaunchOrder } | { line: string } | { kill: true });

/** How a process ended: its exit code, its signal or why it did not start; and the last it wrote to its standard error. */
export interface Ending {
  how: number | string;
  complaint: string;
}

/** From the launcher: what happened to the process of this number. */
export type FromLauncher = { id: number } & ({ pid: number } | { verdict: string } | { ending: Ending });
