import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, setPriority } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lane } from '../../knowledge/revisions.js';
import type { LaunchOrder } from './launch-protocol.js';
import { verdictPipe } from './parse-protocol.js';

const built = fileURLToPath(new URL('../../', import.meta.url));
// One file instead of five hundred, which takes half the time to start: a stage of the build makes it.
const entryOfParsers = fileURLToPath(new URL('./parser-child.bundle.js', import.meta.url));

/** Node 20 has the permission model under its first name. */
const permission = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';

/**
 * Starts a parser process in `folder`: with an empty environment, a capped heap, reading its own folder and the code,
 * writing its own folder, starting nothing, loading no native code, and giving way to whatever serves requests; a slow
 * one gives way to the other parsers too.
 */
export function spawnParser({ folder, heapMb, lane, entry = entryOfParsers }: LaunchOrder): ChildProcess {
  const readable = [folder, built, join(built, '../package.json'), dirname(entry), ...dependencies()];
  const node = [
    process.execPath,
    `--max-old-space-size=${heapMb}`,
    '--disable-warning=ExperimentalWarning',
    permission,
    ...readable.map((path) => `--allow-fs-read=${path}`),
    `--allow-fs-write=${folder}`,
    '--allow-worker',
    entry,
  ];
  const [command = '', ...rest] = [...withoutNetwork(), ...node];
  const stdio = ['pipe', 'ignore', 'pipe'] as ('pipe' | 'ignore')[];
  stdio[verdictPipe] = 'pipe';
  const child = spawn(command, rest, { cwd: folder, env: {}, stdio, windowsHide: true });
  if (child.pid !== undefined) lowerPriority(child.pid, lane);
  return child;
}

/**
 * Of all its threads: those it starts later inherit it. Not everywhere allowed, and not needed to be correct. What was
 * lowered cannot be raised again.
 */
export function lowerPriority(pid: number, lane: Lane): void {
  const { PRIORITY_LOW, PRIORITY_BELOW_NORMAL } = constants.priority;
  try {
    for (const thread of threadsOf(pid)) setPriority(thread, lane === 'slow' ? PRIORITY_LOW : PRIORITY_BELOW_NORMAL);
  } catch {
    // it competes with requests on equal terms, then
  }
}

/** Linux keeps a priority for each thread; elsewhere the process has one. */
function threadsOf(pid: number): number[] {
  const folder = `/proc/${pid}/task`;
  return existsSync(folder) ? readdirSync(folder).map(Number) : [pid];
}

let namespace: string[] | null = null;

/** What to put before a command so that it runs without a network: Linux lends an empty one, unless it is locked down. */
function withoutNetwork(): string[] {
  const prefix = ['unshare', '--user', '--map-root-user', '--net', '--'];
  const [unshare = '', ...rest] = prefix;
  namespace ??=
    process.platform === 'linux' && spawnSync(unshare, [...rest, 'true'], { timeout: 2_000 }).status === 0
      ? prefix
      : [];
  return namespace;
}

/** The folders of the libraries, as they are named and as they really are: the permission model looks at both. */
function dependencies(): string[] {
  const marker = `${sep}node_modules${sep}`;
  const found = new Set<string>();
  for (let at = dirname(built); at !== dirname(at); at = dirname(at)) found.add(join(at, 'node_modules'));
  // The only one that reads files of its own as it works; the others are part of the entry.
  const real = realpathSync(createRequire(import.meta.url).resolve('pdf-parse'));
  found.add(real.slice(0, real.indexOf(marker) + marker.length - 1));
  return [...found];
}
