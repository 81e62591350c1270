import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = fileURLToPath(new URL('./dist/', import.meta.url));

// Tests run what is shipped: an import of src/… is answered by the compiled file in dist/. That is also what lets the
// embedded database's worker thread and the parser's child process start from the tests, and what catches decorator
// metadata that only breaks once compiled.
const alias = [{ find: /^(?:\.\.\/)+src\//, replacement: built }];

// What touches no outside engine is not run a second time beside one: the embedded engine's own faults, units, and files,
// which end in the parsers' processes.
const embeddedOnly = ['faults/embedded*', 'faults/parser-*', 'faults/hostile-*', 'contract/parser*', 'unit/**/*'].map(
  (name) => `test/${name}.test.ts`,
);

// One import of the service for all files of a worker, which takes a second each: but not where its state is broken, nor
// where a test defines jobs of its own, which no other service handles.
const together = ['service', 'unit'];

const suite = (name: string, timeout: number) => ({
  resolve: { alias },
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    exclude: process.env['DATABASE_URL'] ? embeddedOnly : [],
    testTimeout: timeout,
    hookTimeout: 60_000,
    isolate: !together.includes(name),
    // A process that ends with its file only pays for optimising the embedded engine, which costs as much as starting it.
    execArgv: together.includes(name) ? [] : ['--liftoff-only'],
    ...(name === 'unit' ? {} : { globalSetup: 'test/template.setup.ts' }),
  },
});

export default defineConfig({
  test: {
    projects: [suite('unit', 10_000), suite('contract', 60_000), suite('service', 60_000), suite('faults', 180_000)],
    maxWorkers: 3,
  },
});
