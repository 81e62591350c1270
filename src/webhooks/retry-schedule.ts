const [minute, hour] = [60, 3600];

/** Seconds to wait before attempt 1, 2, 3 … (the schedule of the Standard Webhooks specification): ten in 76 hours. */
export const delays = [
  0,
  5,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
] as const;

/**
 * How long to wait after `attempts` failed ones, in seconds: the schedule's delay ± 20 % by chance, so that what failed
 * together does not come back together, or what the receiver asked for, but at least the delay and at most twice it.
 * @param retryAfter seconds, from {@link readRetryAfter}
 * @param random from 0 up to 1
 * @returns null when there is no further attempt
 */
export function waitAfter(
  attempts: number,
  retryAfter: number | null,
  random: () => number = Math.random,
): number | null {
  const delay = delays[attempts];
  if (delay === undefined) return null;
  if (retryAfter !== null) return Math.min(Math.max(retryAfter, delay), 2 * delay);
  return delay * (0.8 + 0.4 * random());
}

const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** The seconds of a Retry-After header (RFC 9110, 10.2.3: a number or a date); null for none, garbage or the past. */
export function readRetryAfter(header: string | string[] | undefined, now: Date): number | null {
  if (typeof header !== 'string') return null;
  if (/^\d{1,9}$/.test(header)) return Number(header);
  if (!httpDate.test(header)) return null;
  const seconds = (Date.parse(header) - now.getTime()) / 1000;
  return seconds > 0 ? seconds : null;
}
