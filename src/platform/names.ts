import { lookup, Resolver } from 'node:dns/promises';
import { bulkhead, timeout, TimeoutStrategy } from 'cockatiel';

/** @returns every address that a name has, none when it has none or nobody says so in time */
export type Resolve = (name: string) => Promise<string[]>;

export interface NameLimits {
  /** Name servers, as `address:port`; the system's by default. */
  servers?: string[];
  /** How long one may be silent before it is asked once more. */
  silenceMs?: number;
  /** For the whole question. */
  totalMs?: number;
}

// The process has four threads for such things, of which lookups may hold two: the database's name, and the queue's, wait
// for one of them too, so names that users choose take one at most.
const systemLookups = bulkhead(1, 100);

// RFC 6761, 6.3: never a question for a name server.
const loopback = /(^|\.)localhost\.?$/;

const isSilence = ({ code }: { code?: string }): boolean => code === 'ETIMEOUT' || code === 'ECANCELLED';

/**
 * Resolves names that users choose, whose servers may be made to say nothing: over sockets of its own, in a limited time,
 * and without a thread of the process. What the name servers do not know may be in the system's own files; only then is
 * the system asked.
 */
export function resolveWithin({ servers, silenceMs = 1500, totalMs = 5000 }: NameLimits = {}): Resolve {
  const limit = timeout(totalMs, TimeoutStrategy.Aggressive);
  return (name) => limit.execute(({ signal }) => ask(name, signal)).catch(() => []);

  async function ask(name: string, signal: AbortSignal): Promise<string[]> {
    if (loopback.test(name)) return askSystem(name);
    const resolver = new Resolver({ timeout: silenceMs, tries: 2 });
    if (servers) resolver.setServers(servers);
    signal.addEventListener('abort', () => resolver.cancel(), { once: true });
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const known = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (known.length > 0 || answers.some((answer) => answer.status === 'rejected' && isSilence(answer.reason)))
      return known;
    return systemLookups.execute(() => askSystem(name), signal);
  }
}

async function askSystem(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => address);
}
