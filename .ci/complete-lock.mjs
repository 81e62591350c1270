// Run after `npm install` where the registry at hand does not hold the optional packages of other platforms: npm then leaves
// them out of package-lock.json, and `npm ci` refuses the lock. Adds them by name and version; their os and cpu keep npm
// from fetching them elsewhere. Use: node .ci/complete-lock.mjs package-lock.json
import { readFileSync, writeFileSync } from 'node:fs';
const file = process.argv[2];
const lock = JSON.parse(readFileSync(file, 'utf8'));
const added = {};
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    const nested = `${path}/${key}`;
    if (lock.packages[key] || lock.packages[nested] || !/^\d/.test(version)) continue;
    const [, os, cpu, libc] =
      /-(android|darwin|freebsd|linux|openharmony|win32|aix|netbsd|openbsd|sunos)-(\w+?)(?:-(gnu|musl|msvc|eabi|gnueabihf|musleabihf))?$/.exec(
        name,
      ) ?? [];
    if (!os) {
      console.error('not a platform package:', name);
      continue;
    }
    added[key] = {
      version,
      cpu: [cpu],
      ...(entry.dev ? { dev: true } : {}),
      ...(libc === 'gnu' || libc === 'gnueabihf'
        ? { libc: ['glibc'] }
        : libc?.startsWith('musl')
          ? { libc: ['musl'] }
          : {}),
      optional: true,
      os: [os],
    };
  }
}
lock.packages = Object.fromEntries(
  Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) =>
    a === '' ? -1 : b === '' ? 1 : a.localeCompare(b, 'en'),
  ),
);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(Object.keys(added).length, 'added');
