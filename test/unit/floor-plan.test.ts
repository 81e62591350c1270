import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

// The rows of the floor plan: what each room may import, itself aside.
const may: Record<string, string[]> = {
  platform: [],
  access: ['platform'],
  events: ['platform', 'access'],
  knowledge: ['platform', 'access', 'events'],
  webhooks: ['platform', 'access', 'events'],
  ingestion: ['platform', 'access', 'events', 'knowledge'],
  retrieval: ['platform', 'access', 'events', 'knowledge'],
  chat: ['platform', 'access', 'events', 'knowledge', 'retrieval'],
};
const rooms = Object.keys(may);

/** Lints a house in which every room imports every other, and says which imports were refused. */
function refused(): Set<string> {
  const house = mkdtempSync(join(tmpdir(), 'lectern-house-'));
  try {
    copyFileSync('.oxlintrc.json', join(house, '.oxlintrc.json'));
    for (const room of rooms) {
      mkdirSync(join(house, 'src', room), { recursive: true });
      for (const other of rooms.filter((name) => name !== room)) {
        const code = `import { thing } from '../${other}/thing.js';\n\nexport const used = thing;\n`;
        writeFileSync(join(house, 'src', room, `to-${other}.ts`), code);
      }
    }
    const oxlint = resolve('node_modules/.bin/oxlint');
    const run = spawnSync(oxlint, ['--format', 'unix', 'src'], { cwd: house, encoding: 'utf8' });
    const lines = run.stdout.split('\n').filter((line) => line.includes('no-restricted-imports'));
    return new Set(lines.flatMap((line) => /src\/(\w+)\/to-(\w+)\.ts/.exec(line)?.slice(1, 3).join(' -> ') ?? []));
  } finally {
    rmSync(house, { recursive: true, force: true });
  }
}

describe('the floor plan', () => {
  it('is held by the linter: each room may import what is below it and nothing else', () => {
    const wrong = rooms.flatMap((room) =>
      rooms.filter((other) => other !== room && !may[room]?.includes(other)).map((other) => `${room} -> ${other}`),
    );
    expect([...refused()].toSorted()).toEqual(wrong.toSorted());
  });
});
