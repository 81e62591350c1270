import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { startProcess } from './cluster/processes.mjs';

const usage = `The processes of docker-compose.yml on this machine, without Docker.
  npm run cluster                                   two API processes (ports 3000 and 3001) and three workers
  npm run cluster -- --apis 1 --workers 5 --port 0  another number of each; 0: any free ports
They share what the environment names: DATABASE_URL (needed), REDIS_URL, S3_…, DATA_DIR, and any other setting.
"worker" or "api" and Enter starts one more. Nothing is started again by itself: kill what you like. Ctrl-C ends all.`;

const { values } = parseArgs({
  options: {
    apis: { type: 'string', default: '2' },
    workers: { type: 'string', default: '3' },
    port: { type: 'string', default: '3000' },
    help: { type: 'boolean' },
  },
});
const refusal = [values.apis, values.workers, values.port].every((value) => /^\d+$/.test(value))
  ? process.env.DATABASE_URL
    ? null
    : 'Set DATABASE_URL: the embedded database has room for one process.'
  : 'The numbers must be whole ones.';

if (values.help || refusal) {
  console.log(refusal ? `${refusal}\n\n${usage}` : usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  run();
}

function run() {
  /** @type {Map<string, import('./cluster/processes.mjs').Running>} */
  const running = new Map();
  const started = { api: 0, worker: 0 };
  let ending = false;

  /** @param {'api' | 'worker'} role */
  const start = async (role) => {
    const number = ++started[role];
    const port = values.port === '0' ? '0' : String(Number(values.port) + number - 1);
    const one = startProcess(`${role} ${number}`, { ROLE: role, PORT: port }, console.error);
    running.set(one.name, one);
    void watch(one);
    const address = await one.ready;
    console.log(`${one.name} (pid ${one.pid}) ${role === 'api' ? `answers at ${address}` : 'works'}`);
  };

  /** @param {import('./cluster/processes.mjs').Running} process */
  const watch = async ({ name, pid, ended }) => {
    const how = await ended;
    running.delete(name);
    console.log(`${name} (pid ${pid}) ended with ${how}`);
    if (running.size === 0) leave();
  };

  const end = async () => {
    if (ending) return;
    ending = true;
    await Promise.all([...running.values()].map(({ stop }) => stop()));
    leave();
  };
  const leave = () => {
    if (!ending) process.exitCode = 1; // all of them ended by themselves
    process.stdin.destroy();
  };

  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void end());
  createInterface({ input: process.stdin }).on('line', (line) => {
    const role = line.trim();
    if (role === 'api' || role === 'worker') void start(role).catch((error) => console.error(error.message));
    else console.log('"api" or "worker" starts one more.');
  });

  const roles = /** @type {const} */ (['api', 'worker']);
  const wanted = roles.flatMap((role) => Array.from({ length: Number(values[`${role}s`]) }, () => start(role)));
  Promise.all(wanted).then(
    () => console.log('All of them are up. Ctrl-C ends them.'),
    (error) => {
      console.error(error.message);
      process.exitCode = 1;
      void end();
    },
  );
}
