/**
 * `heavy` jobs take seconds of CPU (parsing, embedding), `light` ones are short and must not wait behind them
 * (deliveries, publishing).
 */
export type QueueName = 'heavy' | 'light';

export const queueNames: readonly QueueName[] = ['heavy', 'light'];

/** What a job carries: ids and small numbers. What it is about stands in the database. */
export type Payload = Record<string, string | number>;

/** A job as a value: its name, its queue, its retry policy. The handler is a method marked {@link Handles}. */
export interface JobDefinition<P extends Payload> {
  readonly name: string;
  readonly queue: QueueName;
  /** How often a thrown error is tried again. What outlives this is repaired by the sweep of its feature. */
  readonly attempts: number;
  /** Two jobs with the same key are one while the first is waiting or running. Absent: every one runs. */
  readonly key?: (payload: P) => string;
}

// Filled while modules are imported, read once at start-up: a definition that nobody handles must not start.
const definitions = new Map<string, JobDefinition<never>>();

export function defineJob<P extends Payload>(definition: JobDefinition<P>): JobDefinition<P> {
  if (definitions.has(definition.name)) throw new Error(`the job "${definition.name}" is defined twice`);
  definitions.set(definition.name, definition as JobDefinition<never>);
  return definition;
}

export function definedJobs(): ReadonlyMap<string, JobDefinition<never>> {
  return definitions;
}

/** Waits between attempts: 2 s doubled each time, with half of it drawn by chance. */
export const backoff = { type: 'exponential', delay: 2000, jitter: 0.5 } as const;
