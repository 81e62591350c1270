// Loaded beside the built service (node --import): kills the process at the boundary that its parent names, the n-th time
// it comes there. `process.kill` with SIGKILL does not return: not one further statement of this thread is carried out.
import { subscribe } from 'node:diagnostics_channel';
import { isMainThread } from 'node:worker_threads';

/** @type {import('./mortal-service.js').Fuse | null} */
let fuse = JSON.parse(process.env['DIE_AT'] ?? 'null');
const die = () => process.kill(process.pid, 'SIGKILL');

// The embedded engine's thread loads this too, and has no parent to talk to.
if (isMainThread) {
  subscribe('lectern.boundary', (/** @type {any} */ { name, about }) => {
    if (name !== fuse?.at || (fuse.about ?? about) !== about || --fuse.pass > 0) return;
    if (fuse.afterMs === undefined) die();
    else setTimeout(die, fuse.afterMs);
  });
  process.on('message', (/** @type {any} */ wish) => {
    fuse = wish;
    process.send?.('armed');
  });
  process.on('disconnect', die);
  process.channel?.unref();
}
