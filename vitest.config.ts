import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = fileURLToPath(new URL('./dist/', import.meta.url));

// Tests run what is shipped: an import of src/… is answered by the compiled file in dist/. That is also what lets the
// embedded database's worker thread and the parser's child process start from the tests, and what catches decorator
// metadata that only breaks once compiled.
const alias = [{ find: /^(?:\.\.\/)+src\//, replacement: built }];

// What touches no outside engine and takes minutes is not run a second time beside one: the embedded engine's own faults,
// what parsers do to each other, the bombs, the hostile files, and what starts a process of its own on the embedded engine.
const embeddedOnly = [
  'faults/embedded*',
  'faults/parser-*',
  'faults/hostile-*',
  'contract/parser-pool',
  'service/{start,logs,eval}',
].map((name) => `test/${name}.test.ts`);

// It defines jobs of its own, which no other service handles that its process starts.
const ownJobs = 'test/contract/jobs.test.ts';

const suite = (name: string, timeout: number, files = `test/${name}/**/*.test.ts`) => ({
  resolve: { alias },
  test: {
    name,
    // Of two hundred files of ours, each taken apart for the tests otherwise: Node loads them as it does when they are run.
    server: { deps: { external: [/\/dist\//] } },
    include: [files],
    exclude: [...(process.env['DATABASE_URL'] ? embeddedOnly : []), ...(files === ownJobs ? [] : [ownJobs])],
    testTimeout: timeout,
    // A service that ends waits for the file it is reading, 60 s at most, which on a full machine it needs.
    hookTimeout: 150_000,
    // One import of the service for all files of a worker, which takes seconds each.
    isolate: false,
    // Optimising the embedded engine costs a process as much as starting it, which only the longest suite earns back.
    execArgv: name === 'service' ? [] : ['--liftoff-only'],
    ...(name === 'unit' ? {} : { globalSetup: 'test/template.setup.ts' }),
  },
});

export default defineConfig({
  test: {
    projects: [
      // Enough for a machine that lends its processors to others: a test that hangs is found, a slow one is no fault.
      suite('unit', 60_000),
      suite('contract', 180_000),
      suite('jobs', 180_000, ownJobs),
      suite('service', 180_000),
      suite('faults', 400_000),
    ],
    maxWorkers: 3,
  },
});
