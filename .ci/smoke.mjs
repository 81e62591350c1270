// Starts the built app once on an empty folder and waits until it says that it is ready.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const dataDir = await mkdtemp(join(tmpdir(), 'lectern-smoke-'));
const app = spawn(process.execPath, ['dist/main.bundle.js'], {
  env: { PATH: process.env.PATH, DATA_DIR: dataDir, PORT: '0' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  const url = await new Promise((resolve, reject) => {
    let printed = '';
    app.stdout.on('data', (part) => {
      printed += part;
      const found = /"url":"([^"]+)"/.exec(printed);
      if (found) resolve(found[1]);
    });
    app.once('exit', (code) => reject(new Error(`the built app ended with code ${code}`)));
    setTimeout(() => reject(new Error('the built app was not listening after 30 s')), 30_000).unref();
  });
  const answer = await fetch(`${url}/health/ready`);
  if (answer.status !== 200) throw new Error(`/health/ready answered ${answer.status}: ${await answer.text()}`);
  process.stdout.write('the built app is ready\n');
} finally {
  app.removeAllListeners('exit');
  const ended = new Promise((resolve) => app.once('exit', resolve));
  app.kill('SIGTERM');
  await ended;
  await rm(dataDir, { recursive: true, force: true });
}
