import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { newApiKey } from './access/api-key.js';
import { Tenants } from './access/tenants.js';
import { beginWork, createApp, stopApp } from './app.module.js';
import { type Config, ConfigError, readConfig } from './config.js';
import { Fsck } from './ingestion/fsck.js';
import { moveAside } from './platform/embedded/datadir.js';
import { LOGGER, type Logger } from './platform/logger.js';
import { migrate } from './platform/migrate.js';
import { openPool } from './platform/pool.js';
import { readOrCreateSecretFile } from './platform/secrets.js';

const shutdownMs = 25_000;

/** Starts the half of the service that `ROLE` names, and ends it on SIGTERM or SIGINT. Exits 1 when it cannot start. */
async function start(environment: Record<string, string | undefined>): Promise<void> {
  try {
    const config = readConfig(environment);
    if (process.argv.includes('--move-aside')) makeRoom(config);
    const app = await createApp(config);
    const logger = app.get<Logger>(LOGGER);
    let stopping = false;
    const stopOnce = () => {
      if (!stopping) void stop(app, logger);
      stopping = true;
    };
    // Ctrl-C reaches every process of a terminal, and a supervisor among them passes it on.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stopOnce);
    const firstKey = config.role === 'worker' ? null : await makeFirstTenant(app, config);
    await beginWork(app);
    if (config.role === 'worker') logger.info('working');
    else await listen(app, config, logger, firstKey);
  } catch (error) {
    leave(error);
  }
}

/** `npm start -- --move-aside`: for the person who was told that the data directory holds no database. */
function makeRoom(config: Config): void {
  const aside = moveAside(join(config.dataDir, 'database'));
  process.stdout.write(aside ? `what was in the database's folder is now in ${aside}\n` : 'nothing to move aside\n');
}

/** `npm run migrate`: brings the database up to this build and ends, for deployments that do so as a step of its own. */
async function migrateOnly(environment: Record<string, string | undefined>): Promise<void> {
  try {
    const config = readConfig(environment);
    const pool = openPool(config);
    const applied = await migrate(pool, { withQueueTables: config.redisUrl === null });
    await pool.end();
    process.stdout.write(applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'nothing to apply\n');
  } catch (error) {
    leave(error);
  }
}

/**
 * `npm run fsck [-- --mend]`: compares what is stored with itself, and with `--mend` sets right what can be. Ends with 1 when
 * something disagrees that was not mended.
 */
async function fsckOnly(environment: Record<string, string | undefined>): Promise<void> {
  try {
    const config = readConfig({ ...environment, ROLE: 'api', LOG_LEVEL: environment['LOG_LEVEL'] ?? 'warn' });
    const app = await createApp(config);
    const mend = process.argv.includes('--mend');
    const { checked, disagreements } = await app.get(Fsck).check({ mend });
    await stopApp(app);
    const looked = Object.entries(checked).map(([what, count]) => `${count} ${what}`);
    process.stdout.write(`looked at ${looked.join(', ') || 'nothing: nothing is stored'}\n`);
    for (const { kind, means, count, mended, examples } of disagreements)
      process.stdout.write(
        `${kind}: ${count}, ${mended} mended: ${means}\n${examples.map((one) => `  ${one}\n`).join('')}`,
      );
    const left = disagreements.some(({ count, mended }) => mended < count);
    if (disagreements.length === 0) process.stdout.write('everything agrees\n');
    else if (left && !mend) process.stdout.write('npm run fsck -- --mend sets right what can be\n');
    process.exit(left ? 1 : 0);
  } catch (error) {
    leave(error, 'check what is stored');
  }
}

function leave(error: unknown, deed = 'start'): never {
  const reason =
    error instanceof ConfigError ? error.message : `Lectern could not ${deed}: ${(error as Error).message}`;
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}

/** @returns the first API key, if it was made just now */
async function makeFirstTenant(app: NestFastifyApplication, config: Config): Promise<string | null> {
  const keep = () => readOrCreateSecretFile(join(config.dataDir, 'first-api-key'), newApiKey);
  const first = await app.get(Tenants).createFirst(keep);
  return first?.apiKey ?? null;
}

async function listen(
  app: NestFastifyApplication,
  config: Config,
  logger: Logger,
  firstKey: string | null,
): Promise<void> {
  await app.listen(config.port, config.host);
  // An address that means "every interface" is not one to paste.
  const url = ['0.0.0.0', '::'].includes(config.host)
    ? `http://localhost:${new URL(await app.getUrl()).port}`
    : await app.getUrl();
  logger.info({ url, startedInMs: Math.round(process.uptime() * 1000) }, 'listening');
  process.stdout.write(greeting(url, config, firstKey));
}

/** What to do next, ready to paste. */
function greeting(url: string, config: Config, firstKey: string | null): string {
  const keyFile = join(config.dataDir, 'first-api-key');
  const key =
    firstKey === null
      ? `Your first API key is in ${keyFile}.`
      : `Your first API key, shown this once and kept in ${keyFile}:\n  ${firstKey}`;
  return `
Lectern answers at ${url}, its API page is ${url}/docs.
${key}

Upload a file and ask a question:
  export KEY=$(cat ${keyFile})
  export KB=$(curl -s ${url}/v1/knowledge-bases -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '{"name":"first"}' | sed 's/.*"id":"\\(kb_[^"]*\\)".*/\\1/')
  curl -s ${url}/v1/knowledge-bases/$KB/documents -H "Authorization: Bearer $KEY" -F file=@samples/staff-handbook.md
  until curl -s ${url}/v1/knowledge-bases/$KB/documents -H "Authorization: Bearer $KEY" | grep -q '"status":"ready"'; do sleep 0.5; done
  curl -s ${url}/v1/chat -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '{"knowledgeBases":["'$KB'"],"message":"How many days of annual leave do I get?"}'

`;
}

/** Stops taking requests and jobs, lets what is running end, closes the database; after 25 s it goes anyway. */
async function stop(app: NestFastifyApplication, logger: Logger): Promise<void> {
  const late = setTimeout(() => {
    logger.error('stopping took too long; leaving');
    process.exit(1);
  }, shutdownMs).unref();
  await stopApp(app);
  clearTimeout(late);
  process.exit(0);
}

if (process.argv[2] === 'migrate') await migrateOnly(process.env);
else if (process.argv[2] === 'fsck') await fsckOnly(process.env);
else await start(process.env);
