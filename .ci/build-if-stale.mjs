// Before `npm start`: builds when a source is newer than what was built from it. `npm ci` has built already, and asking
// the compiler whether there is anything to do costs as long as starting the service does.
import { execSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';

// What the build writes last.
const bundle = 'dist/main.bundle.js';
const built = statSync(bundle, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const sources = readdirSync('src', { recursive: true }).map((name) => `src/${name}`);
const stale = [...sources, 'tsconfig.json', 'package-lock.json', '.ci/bundle.mjs'].some(
  (file) => statSync(file).mtimeMs > built,
);
if (stale) execSync('npm run build', { stdio: 'inherit' });
