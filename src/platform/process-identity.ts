import { readFileSync } from 'node:fs';

/** A process as what it leaves behind names it: numbers are given again, to the first process of a container always. */
export interface ProcessIdentity {
  pid: number;
  /** When it started, as {@link startOf} tells it. */
  started: string | null;
}

/** When a process started, in clock ticks since boot with the boot's own id, or null where /proc does not say. */
export function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22; counted from after the command's name, which may itself hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return 'ended'; // killed, and its parent has not asked yet: it holds no file any more
    const ticks = fields[19];
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${ticks}`;
  } catch {
    return null; // no /proc here: the pid alone decides, and a live one is never robbed
  }
}

export const thisProcess: Readonly<ProcessIdentity> = { pid: process.pid, started: startOf(process.pid) };

/** Whether that very process may be alive on this machine, not just one that has its number now. */
export function mayBeAlive({ pid, started }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = startOf(pid);
  return started === null || now === null || started === now;
}
