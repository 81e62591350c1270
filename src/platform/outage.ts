// Classes of SQLSTATE that pass by themselves: the connection broke (08), room or connections are short (53), the server
// shuts down or cut a statement at its deadline (57P, 57014), two transactions met (40), a lock was not to be had (55P03),
// an idle transaction was ended (25P).
const passing = /^(08|53|57P|57014|40|55P03|25P0[34])/;
const network = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOTFOUND', 'EAI_AGAIN']);
// What `pg`, its pool and TypeORM say without a code. TypeORM lets go of a connection that broke while a transaction was
// between two statements, and says of the next one only that it comes too late.
const sayings =
  /^(timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error|Client was closed|timeout expired|Query runner already released|Database connection provided by a query runner was already released)/;

/** Whether an error means that a part the service needs is not to be had right now: asking again later may help. */
export function isOutage(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === 'string' && (passing.test(code) || network.has(code))) return true;
  return typeof message === 'string' && sayings.test(message);
}
