import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Fsck } from '../../src/ingestion/fsck.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;
let messageId: string;
let documentId: string;
let before: { content: string; answer: object };

const owner = <T>(sql: string, parameters: unknown[] = []): Promise<T[]> =>
  service.database().asOwner((tx) => tx.rows<T>(sql, parameters));
const bare = (id: string) => id.slice(id.indexOf('_') + 1);
const stored = async () => {
  const [row] = await owner<{ content: string; answer: object }>('select content, answer from message where id = $1', [
    bare(messageId),
  ]);
  if (!row) throw new Error('the message is gone');
  return row;
};
const words = async () => JSON.stringify(await stored());
const receipt = async () => (await library.call('GET', `/deletions/${documentId}`)).body;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** An answer that a process has stored which died before it looked whether its document was deleted meanwhile. */
beforeEach(async () => {
  library = await openLibrary(service);
  ({ id: documentId } = await library.publish({
    externalId: 'leave',
    title: 'Leave',
    content: 'Every employee has 27 days of annual leave.',
  }));
  const message = 'How many days of annual leave do employees have?';
  ({ messageId } = (
    await service.call('POST', '/v1/chat', { body: { knowledgeBases: [library.base], message } })
  ).body);
  before = await stored();
  await library.call('DELETE', `/documents/${documentId}`);
  await service.settle();
  await owner('update message set content = $2, answer = $3 where id = $1', [
    bare(messageId),
    before.content,
    JSON.stringify(before.answer),
  ]);
  await owner(
    'insert into message_document (tenant_id, message_id, document_id) select tenant_id, id, $2 from message where id = $1',
    [bare(messageId), bare(documentId)],
  );
});

const named = () => owner('select document_id from message_document where message_id = $1', [bare(messageId)]);

describe('a stored answer that speaks of a deleted document, and that nobody is to clear', () => {
  it('is found by a sweep', async () => {
    expect(await words()).toContain('27 days');
    expect(await receipt()).toMatchObject({ status: 'completed', removed: { answers: 1 } });
    await service.settle();
    expect(await words()).not.toContain('27 days');
    expect(await named()).toEqual([]);
    expect(await receipt()).toMatchObject({ status: 'completed', removed: { answers: 2 } });
  });

  it('is found too where the document was deleted before there were receipts, and has one then', async () => {
    await owner('delete from deletion where document_id = $1', [bare(documentId)]);
    expect(await words()).toContain('27 days');
    expect((await library.call('GET', `/deletions/${documentId}`)).status).toBe(404);
    await service.settle();
    expect(await words()).not.toContain('27 days');
    expect(await named()).toEqual([]);
    expect(await receipt()).toMatchObject({ cause: 'request', status: 'completed', removed: { answers: 1 } });
  });

  it('is found by the check, and mending it clears it away', async () => {
    await owner('delete from deletion where document_id = $1', [bare(documentId)]);
    const check = (mend: boolean) => service.part(Fsck).check({ mend, before: new Date(Date.now() + 60_000) });
    expect((await check(true)).disagreements).toMatchObject([{ kind: 'document_not_cleared', count: 1, mended: 1 }]);
    const waits = "select 1 from deletion where document_id = $1 and pending @> '{answers}'";
    expect(await owner(waits, [bare(documentId)])).toHaveLength(1);
    await service.settle();
    expect(await words()).not.toContain('27 days');
    expect((await check(false)).disagreements).toEqual([]);
    expect(await receipt()).toMatchObject({ status: 'completed' });
  });
});
