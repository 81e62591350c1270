import { createHmac } from 'node:crypto';
import { Client } from '../../samples/demo/client.mjs';
import { patiently } from '../load.mjs';

/**
 * A CMS that feeds a base: it knows an address, and a secret to sign with. Its articles are files, named by their path.
 *
 * @param {Client} owner
 * @param {string} base the base's id
 */
export async function connectCms(owner, base) {
  const { hookUrl, secret } = await owner.post('/v1/cms-sources', { knowledgeBaseId: base, kind: 'generic' });
  const { pathname } = new URL(hookUrl, owner.url);
  const hook = new Client(owner.url, '');
  /** @param {{ path: string, content: string | null }} change @param {string} updatedAt @param {boolean} [isNew] */
  return async ({ path, content }, updatedAt, isNew = false) => {
    const action = content === null ? 'deleted' : isNew ? 'published' : 'updated';
    const body = JSON.stringify({ articleId: path, action, title: path, content, updatedAt });
    const signature = createHmac('sha256', secret).update(body).digest('hex');
    const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
    await patiently.execute(() => hook.call('POST', pathname, body, headers));
  };
}
