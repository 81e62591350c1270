import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { template } from './service/template.js';

/** Once for the whole run, before any test file: the database that all services under test start from. */
export async function setup(): Promise<() => Promise<void>> {
  if (process.env['DATABASE_URL']) return async () => undefined;
  const dataDir = await template();
  process.env['LECTERN_TEMPLATE'] = dataDir;
  return () => rm(dirname(dataDir), { recursive: true, force: true });
}
