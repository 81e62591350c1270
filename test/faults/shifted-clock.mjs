// Loaded into a process before anything else: its clock shows another time, and jumps when SIGUSR2 comes. What is counted
// by the clock of the database, or by performance.now(), does not notice.
let shift = Number(process.env['CLOCK_SHIFT_MS'] ?? 0);
process.on('SIGUSR2', () => (shift = -shift));

const Real = globalThis.Date;
globalThis.Date = class extends Real {
  constructor(...given) {
    if (given.length === 0) super(Real.now() + shift);
    else super(...given);
  }
  static now() {
    return Real.now() + shift;
  }
};
