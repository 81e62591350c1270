import { publicEvents } from '../events/catalogue.js';

/**
 * The patterns under which an event is heard: its own name, each family it is in, and everything.
 * `index.version.activated` is heard as itself, `index.version.*`, `index.*` and `*`.
 */
export function patternsOf(type: string): string[] {
  const parts = type.split('.');
  const families = parts.slice(1).map((_, end) => `${parts.slice(0, end + 1).join('.')}.*`);
  return [type, ...families.toReversed(), '*'];
}

/** All that an endpoint may ask for. What is not in here would never be sent, so it is refused rather than kept. */
export const eventPatterns: readonly string[] = [...new Set(publicEvents.flatMap(patternsOf))].sort();
