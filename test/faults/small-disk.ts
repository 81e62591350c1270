import { execFileSync } from 'node:child_process';
import { appendFile, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';

/** Whether this machine lets us mount: only root may, and not in every container. */
export function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A file system of its own in a folder that is there, with room for `megabytes`. */
export function mountSmallDisk(folder: string, megabytes: number) {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
  const filler = join(folder, 'filler');
  return {
    /** Takes all the room there is but `bytes`. */
    fill: async (bytes = 0) => {
      const { bavail, bsize } = await statfs(folder);
      await appendFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - bytes)));
    },
    /** Gives the room back. */
    free: () => rm(filler, { force: true }),
    unmount: () => execFileSync('umount', ['--lazy', folder]),
  };
}
