import { createHmac } from 'node:crypto';
import { Client, until } from './client.mjs';
import { expect, say, showAnswer, step } from './page.mjs';
import { checkQuotes } from './questions.mjs';

/** @typedef {import('./client.mjs').Answer} Answer */

export async function changeAnArticle(admin, base) {
  const question = 'Where do visitors park?';
  step(`A CMS article changes, and so does the answer: ${question}`);
  const publish = await connectCms(admin, base);
  await publish('published', 'Visitors park in the north yard, bays 1 to 6. Badges are handed out at gate A.', 60_000);
  say('the CMS published the article "Visitor parking"');
  const before = await askUntil(admin, base, question, 'north yard');
  showAnswer('before', before);
  await checkQuotes(admin, base, before);
  const old = await activeVersion(admin, base);

  await publish('updated', 'Visitors park in the south yard, bays 20 to 28. Badges are handed out at gate C.', 0);
  say('the CMS changed the article');
  const after = await askUntil(admin, base, question, 'south yard');
  showAnswer('after', after);
  await checkQuotes(admin, base, after);
  expect(!after.answer.includes('north yard'), 'the old text to be gone from the answer', after.answer);

  step('Roll back, and the old answer returns');
  const { data } = await admin.get(`/v1/knowledge-bases/${base}/versions?limit=10`);
  for (const { number, parent, status, cause, stats } of data) {
    say(`version ${number}  ${status.padEnd(8)} parent ${parent ?? '-'}, ${cause.kind}, ${stats.documents} documents`);
  }
  const active = data.find(({ status }) => status === 'active');
  expect(active?.parent === old, `the active version to follow version ${old}`, active);
  await admin.post(`/v1/knowledge-bases/${base}/versions/${old}/activate`);
  say(`version ${old} activated`);
  const back = await askUntil(admin, base, question, 'north yard');
  showAnswer('rolled back', back);
  await checkQuotes(admin, base, back);
  expect(!back.answer.includes('south yard'), 'the newer text to be gone from the answer', back.answer);
  expect((await activeVersion(admin, base)) === old, `version ${old} to be active`, await activeVersion(admin, base));
}

/** A CMS knows nothing of Lectern but an address and a secret to sign with. */
async function connectCms(admin, base) {
  const { hookUrl, secret } = await admin.post('/v1/cms-sources', { knowledgeBaseId: base, kind: 'generic' });
  const hook = new Client(admin.url, '');
  const { pathname } = new URL(hookUrl, admin.url);
  return async (action, sentence, ageMs) => {
    const body = JSON.stringify({
      articleId: 'visitor-parking',
      action,
      title: 'Visitor parking',
      content: `<article><h1>Visitor parking</h1><p>${sentence}</p></article>`,
      url: 'https://intranet.halden-instruments.example/visitor-parking',
      updatedAt: new Date(Date.now() - ageMs).toISOString(),
    });
    const signature = createHmac('sha256', secret).update(body).digest('hex');
    const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
    const { received } = await hook.call('POST', pathname, body, headers);
    expect(received === true, 'the hook to say received', received);
  };
}

/** @returns {Promise<Answer>} the first answer that holds `words` */
const askUntil = (admin, base, question, words) =>
  until(
    `an answer with "${words}"`,
    30_000,
    () => admin.ask(base, question),
    ({ answer }) => answer.includes(words),
  );

const activeVersion = async (admin, base) => (await admin.get(`/v1/knowledge-bases/${base}`)).activeVersion;
