import dgram from 'node:dgram';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { Worker } from 'node:worker_threads';

const refuse = (): never => {
  throw new Error('the parser process makes no connections');
};

/**
 * A parser has no business on the network: a library that was talked into a request fails here, before any packet and
 * before any name is looked up. Where the system lends a network namespace, there is no network behind it either.
 */
export function closeNetwork(): void {
  net.Socket.prototype.connect = refuse;
  net.Server.prototype.listen = refuse;
  for (const method of ['bind', 'connect', 'send'] as const) dgram.Socket.prototype[method] = refuse;
  for (const api of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
    for (const name of namesOf(api)) if (/^(?:lookup|resolve|reverse)/.test(name)) Reflect.set(api, name, refuse);
  }
  globalThis.fetch = refuse;
  syncBuiltinESMExports();
}

/** Own names, and those of the class above: a Resolver inherits its methods. */
const namesOf = (api: object): string[] => [
  ...Object.getOwnPropertyNames(api),
  ...Object.getOwnPropertyNames(Object.getPrototypeOf(api) ?? {}),
];

/** A parser that is busy sees neither signals nor a closed pipe, so a thread looks whether the parent is still there. */
export function followParent(): void {
  new Worker(
    `const parent = process.ppid;
     setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500);`,
    { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 } },
  ).unref();
}

/**
 * Remembers what every built-in object holds, one level into each global and its prototype.
 * @returns a function that says whether all of it is still so: a document that changed `Object.prototype`, or left a
 *   global behind, would speak in the next one's name
 */
export function watchGlobals(): () => boolean {
  const watched = [...builtIns()].map((object) => ({ object, before: contentOf(object) }));
  const names = Reflect.ownKeys(globalThis).length;
  return () =>
    Reflect.ownKeys(globalThis).length === names &&
    watched.every(({ object, before }) => {
      const keys = Reflect.ownKeys(object);
      return keys.length === before.size && keys.every((key) => same(before.get(key), object, key));
    });
}

function builtIns(): Set<object> {
  const found = new Set<object>();
  const add = (value: unknown) => {
    if (value !== null && (typeof value === 'object' || typeof value === 'function')) found.add(value);
  };
  for (const key of Reflect.ownKeys(globalThis)) {
    // Node defines its larger globals on first use: they are getters until then, and looking would load them.
    const value: unknown = Object.getOwnPropertyDescriptor(globalThis, key)?.value;
    if (value === globalThis || value === process) continue;
    add(value);
    if (typeof value === 'function') add(value.prototype);
  }
  // Not reachable by a name: what typed arrays, iterators and generators have in common.
  add(Object.getPrototypeOf(Uint8Array));
  add(Object.getPrototypeOf(Uint8Array.prototype));
  for (const sample of [[].values(), new Map().values(), new Set().values(), (function* () {})(), (async () => {})()])
    for (let at: unknown = Object.getPrototypeOf(sample); at; at = Object.getPrototypeOf(at)) add(at);
  return found;
}

type Content = Map<PropertyKey, PropertyDescriptor>;

const contentOf = (object: object): Content =>
  new Map(Reflect.ownKeys(object).map((key) => [key, Object.getOwnPropertyDescriptor(object, key)!]));

function same(before: PropertyDescriptor | undefined, object: object, key: PropertyKey): boolean {
  const now = Object.getOwnPropertyDescriptor(object, key);
  // Numbers and strings that libraries keep on their own constructors (counters, versions) carry no behaviour.
  if (typeof before?.value !== 'function' && typeof before?.value !== 'object' && before?.get === undefined)
    return before !== undefined && typeof now?.value !== 'function';
  return now?.get === before.get && now?.set === before.set && Object.is(now?.value, before.value);
}
