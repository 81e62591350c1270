import { until } from './client.mjs';
import { expect, say, step } from './page.mjs';

const word = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
const samples = [
  { name: 'staff-handbook.md', type: 'text/markdown' },
  { name: 'returns-policy.html', type: 'text/html' },
  { name: 'salary-bands.docx', type: word, access: { visibility: 'restricted', allow: ['group:hr'] } },
  { name: 'scale-x200-manual.pdf', type: 'application/pdf' },
];
const folder = new URL('../', import.meta.url);
const widest = Math.max(...samples.map(({ name }) => name.length));

/** @returns {Promise<Map<string, string>>} document ids by file name */
export async function uploadSamples(admin, base) {
  step('Upload four documents; only the group hr may see the salary bands');
  const path = `/v1/knowledge-bases/${base}/documents`;
  const documents = new Map();
  for (const { name, type, access } of samples) {
    const fields = { externalId: name, metadata: JSON.stringify({ company: 'halden' }) };
    if (access) fields.access = JSON.stringify(access);
    const { id, status } = await admin.upload(path, new URL(name, folder), type, fields);
    documents.set(name, id);
    say(`${name.padEnd(widest)}  ${status}${access ? `, for ${access.allow.join(', ')}` : ''}`);
  }
  await Promise.all([...documents].map(([name, id]) => watchUntilReady(admin, `${path}/${id}`, name)));
  return documents;
}

async function watchUntilReady(admin, path, name) {
  let shown = 'queued';
  const look = async () => {
    const document = await admin.get(path);
    const { stage, done, total } = document.progress;
    const state = stage + (total > 0 && stage !== 'ready' ? ` ${done}/${total}` : '');
    if (state !== shown) say(`${name.padEnd(widest)}  ${state}`);
    shown = state;
    expect(document.status !== 'failed', `${name} to be read`, document.error);
    return document;
  };
  await until(`${name} to be ready`, 30_000, look, ({ status }) => status === 'ready');
}
