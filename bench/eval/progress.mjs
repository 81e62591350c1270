/**
 * How far something is, on standard error: one line that changes on a terminal, a line a quarter elsewhere.
 *
 * @param {string} label
 * @param {number} total
 */
export function progress(label, total) {
  const began = performance.now();
  let done = 0;
  let quarters = 0;
  const at = (/** @type {number} */ now) => {
    done = now;
    const line = `${label} ${done} of ${total}, ${((performance.now() - began) / 1000).toFixed(1)} s`;
    const passed = Math.floor((4 * done) / Math.max(1, total));
    if (process.stderr.isTTY) process.stderr.write(`\r${line}\x1b[K`);
    else if (passed > quarters) process.stderr.write(`${line}\n`);
    quarters = passed;
  };
  return {
    at,
    more: () => at(done + 1),
    end: () => {
      if (process.stderr.isTTY) process.stderr.write('\n');
    },
  };
}
