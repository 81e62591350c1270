import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { definedJobs, type JobDefinition, type Payload } from './definition.js';

type Handler = (payload: Payload) => Promise<void>;

/** Work that a worker does every so often, and at once when somebody notifies its channel. */
export interface Chore {
  name: string;
  everyMs: number;
  channel: string | null;
  run: () => Promise<unknown>;
}

const Handled = Reflector.createDecorator<JobDefinition<never>>();
const Freed = Reflector.createDecorator<true>();
const Swept = Reflector.createDecorator<{ everyMs: number; channel: string | null }>();

/** Marks the method that carries out a job: `(payload) => Promise<void>`. A thrown error means "try again". */
export function Handles<P extends Payload>(definition: JobDefinition<P>) {
  const mark = Handled(definition as JobDefinition<never>);
  return (target: object, key: string, descriptor: TypedPropertyDescriptor<(payload: P) => Promise<void>>) =>
    mark(target, key, descriptor as PropertyDescriptor);
}

/**
 * Marks a method without parameters that a worker runs every so often, to find in the database what was lost, and at
 * once after a NOTIFY on `channel`. One that answers true has done work which may lead to more.
 */
export function Sweep(everyMs: number, channel: string | null = null) {
  const mark = Swept({ everyMs, channel });
  return (target: object, key: string, descriptor: PropertyDescriptor) => mark(target, key, descriptor);
}

/**
 * Marks a method without parameters that a worker runs once before it begins, when it knows itself to be the only one:
 * what a killed process still holds (leases, claims) is free at once, and need not run out first.
 */
export function Frees() {
  const mark = Freed(true);
  return (target: object, key: string, descriptor: PropertyDescriptor) => mark(target, key, descriptor);
}

/** Finds every handler and sweep at start-up. Refuses to start with a job nobody handles, or one handled twice. */
@Injectable()
export class Handlers implements OnModuleInit {
  private readonly handlers = new Map<string, Handler>();
  readonly sweeps: Chore[] = [];
  /** The methods marked {@link Frees}. */
  readonly frees: (() => Promise<unknown>)[] = [];

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
  ) {}

  onModuleInit(): void {
    for (const { instance } of this.discovery.getProviders()) {
      if (!instance || typeof instance !== 'object') continue;
      const prototype: unknown = Object.getPrototypeOf(instance);
      if (!prototype) continue;
      for (const method of this.scanner.getAllMethodNames(prototype)) this.register(instance as never, method);
    }
    const orphans = [...definedJobs().keys()].filter((name) => !this.handlers.has(name));
    if (orphans.length > 0) throw new Error(`no handler for the jobs: ${orphans.join(', ')}`);
  }

  /** @throws Error for a name that no definition of this build has: a job of a newer version waits for its worker */
  async handle(name: string, payload: Payload): Promise<void> {
    const handler = this.handlers.get(name);
    if (!handler) throw new Error(`this build has no job "${name}"`);
    await handler(payload);
  }

  private register(instance: Record<string, (...parameters: never[]) => Promise<void>>, method: string): void {
    const run = instance[method];
    if (!run) return;
    const definition = this.reflector.get(Handled, run);
    if (definition) {
      if (this.handlers.has(definition.name)) throw new Error(`the job "${definition.name}" has two handlers`);
      this.handlers.set(definition.name, run.bind(instance) as Handler);
    }
    if (this.reflector.get(Freed, run)) this.frees.push(run.bind(instance));
    const sweep = this.reflector.get(Swept, run);
    if (sweep) this.sweeps.push({ ...sweep, name: `${instance.constructor.name}.${method}`, run: run.bind(instance) });
  }
}
