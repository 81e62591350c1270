import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = fileURLToPath(new URL('./dist/', import.meta.url));

// Tests run what is shipped: an import of src/… is answered by the compiled file in dist/. That is also what lets the
// embedded database's worker thread and the parser's child process start from the tests, and what catches decorator
// metadata that only breaks once compiled.
const alias = [{ find: /^(?:\.\.\/)+src\//, replacement: built }];

const suite = (name: string, timeout: number) => ({
  resolve: { alias },
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeout,
    hookTimeout: 60_000,
    ...(name === 'service' ? { globalSetup: 'test/template.setup.ts' } : {}),
  },
});

export default defineConfig({
  test: {
    projects: [suite('unit', 10_000), suite('contract', 60_000), suite('service', 60_000), suite('faults', 180_000)],
    maxWorkers: 2,
  },
});
