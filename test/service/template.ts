import { cpSync } from 'node:fs';
import { basename, join } from 'node:path';

/** What this run of the tests leaves lying about: it goes with the run. Made by `template.setup.ts`. */
export function runFolder(): string {
  const folder = process.env['LECTERN_TESTS'];
  if (!folder) throw new Error('test/template.setup.ts was not run before this');
  return folder;
}

/** What the names of this run's databases on a server begin with. */
export const databasePrefix = (): string => basename(runFolder()).toLowerCase().replaceAll('-', '_');

/** The migrated database on the server that others are copied from. */
export const templateDatabase = (): string => `${databasePrefix()}_template`;

/** Where the migrated embedded database lies that others are copied from, as a service's DATA_DIR. */
export const templateDataDir = (): string => join(runFolder(), 'template');

/**
 * Copies the migrated embedded database: making one takes seconds. In one step: of a thousand files, each copied by itself
 * takes four times as long.
 */
export async function copyTemplate(to: string): Promise<void> {
  cpSync(join(templateDataDir(), 'database'), to, { recursive: true });
}
