import { channel } from 'node:diagnostics_channel';

/** What a subscriber of `lectern.boundary` is told. */
export interface Crossing {
  readonly name: string;
  /** The id of what is being worked on, where there is one. */
  readonly about: string | null;
  /** Keeps the work waiting here until this resolves; if it rejects, the work fails here with its error. */
  hold(until: Promise<unknown>): void;
}

const crossings = channel('lectern.boundary');

/**
 * A place between two steps at which a process may die without anything being lost. The service has no subscriber and no
 * setting that makes one: then this looks at a flag and goes on. Only code loaded into the process can subscribe, which is
 * what the crash tests do: they kill, hold or fail the work exactly here. A tracer may listen too.
 */
export async function boundary(name: string, about: string | null = null): Promise<void> {
  if (!crossings.hasSubscribers) return;
  const holds: Promise<unknown>[] = [];
  crossings.publish({ name, about, hold: (until) => holds.push(until) } satisfies Crossing);
  await Promise.all(holds);
}
