import { parseArgs } from 'node:util';
import { changeAnArticle } from './demo/article.mjs';
import { Client, until } from './demo/client.mjs';
import { Disappointment, expect, say, seconds, step } from './demo/page.mjs';
import { askAboutAnErrorCode, askAsTwoPeople } from './demo/questions.mjs';
import { openReceiver } from './demo/receiver.mjs';
import { startService } from './demo/service.mjs';
import { uploadSamples } from './demo/uploads.mjs';

const usage = `The whole story of Lectern in under a minute.
  npm run demo                                   on a service of its own, with temporary data
  npm run demo -- --url http://… --key lk_…      on a service that is up (with OUTBOUND_ALLOW_CIDRS=127.0.0.0/8)`;

/** The story. Whatever it opens is told to `finallyDo`, and closed however it ends. */
async function demo({ url, key }, finallyDo) {
  console.log('Lectern demo: Halden Instruments, a maker of scales, asks its own documents.');
  const admin = await serviceReady(url, key, finallyDo);
  const base = await createBase(admin);
  const receiver = await listenToEvents(admin, finallyDo);
  const documents = await uploadSamples(admin, base);
  await askAsTwoPeople(admin, base, documents);
  await askAboutAnErrorCode(admin, base, documents);
  await changeAnArticle(admin, base);
  await checkEvents(receiver, base, documents);
  if (url) say(`The knowledge base ${base} and its documents were left in place.`);
  console.log(`\nAll of it held, in ${seconds()} seconds.`);
  if (!url) console.log('Next, with documents of your own: npm start prints an API key and the first commands to try.');
}

async function serviceReady(url, key, finallyDo) {
  step(url ? 'Use the service that is up' : 'Start the service on temporary data');
  let admin;
  if (url) {
    admin = new Client(url.replace(/\/+$/, ''), key);
  } else {
    const service = await startService(finallyDo);
    admin = new Client(service.url, service.key);
    say(`data in ${service.folder}, removed at the end`);
  }
  const look = () => admin.get('/health/ready').catch((error) => error.message);
  const { mode, checks } = await until('/health/ready to say ok', 20_000, look, (seen) => seen.status === 'ok');
  say(`${admin.url} is ready after ${seconds()} s: database ${mode}, chat model ${checks.chat.status}`);
  return admin;
}

async function createBase(admin) {
  step('Create a knowledge base');
  const { id, name } = await admin.post('/v1/knowledge-bases', { name: `Halden demo ${new Date().toISOString()}` });
  say(`${name}: ${id}`);
  return id;
}

async function listenToEvents(admin, finallyDo) {
  step('Register a webhook endpoint, to hear what happens');
  const receiver = await openReceiver(({ type, data }) => {
    const number = data.version === undefined ? '' : ` version ${data.version}`;
    say(`  <- ${type}${number} ${data.documentId ?? ''} (signature verified)`);
  });
  finallyDo(receiver.close);
  const events = ['document.*', 'index.version.*'];
  const endpoint = await admin.post('/v1/webhook-endpoints', { url: receiver.url, events });
  receiver.trust(endpoint.secret);
  // Nobody will be listening any more, and a service that stays up would go on trying.
  finallyDo(() => admin.delete(`/v1/webhook-endpoints/${endpoint.id}`));
  say(`${events.join(' and ')} are sent to ${receiver.url}`);
  return receiver;
}

async function checkEvents(receiver, base, documents) {
  step('Count the events');
  const about = (type) => receiver.events.filter((event) => event.type === type);
  const missing = () => {
    const ready = new Set(about('document.ready').map(({ data }) => data.documentId));
    const files = [...documents].filter(([, id]) => !ready.has(id)).map(([name]) => `document.ready for ${name}`);
    const versions = ['index.version.activated', 'index.version.rolled_back'].filter(
      (type) => !about(type).some(({ data }) => data.knowledgeBaseId === base),
    );
    return [...files, ...versions];
  };
  await until('no event to be missing', 15_000, missing, (names) => names.length === 0);
  expect(receiver.refused.length === 0, 'every signature to be good', receiver.refused);
  for (const type of new Set(receiver.events.map((event) => event.type))) {
    say(`${String(about(type).length).padStart(3)}  ${type}`);
  }
  say(`${receiver.events.length} events received, all of them verified`);
}

/** Runs the story and, whatever came of it, closes what it opened, last first. @returns the exit code */
async function run(options) {
  const closing = [];
  const close = async () => {
    for (let work = closing.pop(); work; work = closing.pop()) {
      await Promise.resolve(work()).catch((error) => console.error(`    while closing: ${error.message}`));
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void close().then(() => process.exit(130)));
  try {
    await demo(options, (work) => closing.push(work));
    return 0;
  } catch (error) {
    console.error(`\nThe demo failed after ${seconds()} seconds.`);
    console.error(`    ${error instanceof Disappointment ? error.message : error.stack}`);
    return 1;
  } finally {
    await close();
  }
}

const { values } = parseArgs({
  options: { url: { type: 'string' }, key: { type: 'string' }, help: { type: 'boolean' } },
});
if (values.help || Boolean(values.url) !== Boolean(values.key)) {
  console.log(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  process.exitCode = await run(values);
}
