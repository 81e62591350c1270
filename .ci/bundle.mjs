// After the compiler: what a process starts from takes in all that it loads, as `<name>.bundle.js` beside it. Of a start,
// Node spends more than half on reading three thousand modules one by one, and of a parser's on five hundred.
import { readdirSync, statSync, utimesSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const root = fileURLToPath(new URL('../', import.meta.url));
const dist = join(root, 'dist/');
const parser = 'ingestion/parsers/parser-child';
const bundles = [`${parser}.bundle.js`, 'main.bundle.js', 'worker.bundle.js'].map((name) => join(dist, name));

/** Ours find their neighbours (workers, migrations) from where they stand, which the bundle sees from its own folder. */
const ownPlaces = {
  name: 'own-places',
  transform(code, file) {
    if (!file.startsWith(dist)) return null;
    const place = JSON.stringify(`./${relative(dist, file)}`);
    return code.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`);
  },
};

const common = { platform: 'node', logLevel: 'warn' };
const output = { format: 'esm', entryFileNames: '[name].bundle.js', chunkFileNames: 'chunk-[name].bundle.js' };

if (isStale()) {
  await build([
    {
      ...common,
      input: `${dist}${parser}.js`,
      output: { ...output, dir: join(dist, parser, '..'), codeSplitting: false },
    },
    {
      ...common,
      input: [join(dist, 'main.js'), join(dist, 'worker.js')],
      plugins: [ownPlaces],
      // They read files that lie beside them.
      external: [/^@electric-sql\//, /^swagger-ui-dist/, /^eld/, /^ioredis/],
      // Drivers and extensions that are not installed: whoever asks for them catches that.
      onLog: (level, log, next) => log.code !== 'UNRESOLVED_IMPORT' && next(level, log),
      // Nest and TypeORM go by the names of classes.
      output: { ...output, dir: dist, keepNames: true },
    },
  ]);
}
// `npm start` asks whether a source is newer than these.
const now = new Date();
for (const bundle of bundles) utimesSync(bundle, now, now);

function isStale() {
  const compiled = readdirSync(dist, { recursive: true }).filter((name) => /(?<!\.bundle)\.js$/.test(name));
  const sources = [
    ...compiled.map((name) => join(dist, name)),
    join(root, 'package-lock.json'),
    fileURLToPath(import.meta.url),
  ];
  const newest = Math.max(...sources.map(modified));
  return bundles.some((bundle) => modified(bundle) < newest);
}

function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
