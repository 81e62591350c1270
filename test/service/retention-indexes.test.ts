import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Retention } from '../../src/ingestion/retention.js';
import { once } from '../faults/crossings.js';
import { type Service, startService } from './harness.js';
import { type Library, openLibrary } from './library.js';
import { reindexing } from './reindexing.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await startService({ env: { RETENTION_VERSIONS: '1', RETENTION_HOURS: '1' } });
});
afterAll(() => service.stop());
beforeEach(async () => {
  library = await openLibrary(service);
});

const { rows, uuid, reindex, state, indexes } = reindexing(() => ({ service, library }));

const edit = (externalId: string, text: string) => library.publish({ externalId, content: `The tide: ${text}.` });
/** As if everything had been made two hours ago. */
const age = () =>
  rows(`update version set created_at = now() - interval '2 hours' where knowledge_base_id = $1`, [uuid()]);
const freed = async () => {
  const found = await rows<{ number: number }>(
    'select number from version where knowledge_base_id = $1 and freed_at is not null order by number',
    [uuid()],
  );
  return found.map(({ number }) => number);
};
const says = async (): Promise<string[]> => {
  const search = { topK: 50, mode: 'keyword', rank: { perDocument: 0, dropDuplicates: false } };
  const { results } = await library.search('tide', search);
  return results.map(({ text }: { text: string }) => text).toSorted();
};
const tables = async (index?: number) => {
  const names = [[`chunk_${index}`, `chunk_vector_${index}`]];
  return (await rows('select relname from pg_class where relname = any($1)', names)).length;
};

describe('the last version of an index', () => {
  it('is what the next one there begins with, so that its rows stay, also when another index has later ones', async () => {
    await edit('d0', 'kept');
    await edit('d0', 'abandoned');
    await edit('d1', 'abandoned too');
    await library.activate(1);
    await reindex({ language: 'en' });
    await service.settle();
    await edit('d2', 'elsewhere');
    await edit('d2', 'elsewhere again');
    await library.activate(1);
    await age();
    await service.settle();
    expect(await freed()).toEqual([2, 4, 5]);
    await edit('d3', 'later');
    expect(await library.activeVersion()).toBe(7);
    expect(await says()).toEqual(['The tide: kept.', 'The tide: later.']);
    await age();
    await service.settle();
    expect(await freed()).toEqual([0, 2, 3, 4, 5, 6]);
    const left = await rows<{ text: string }>(
      'select c.text from chunk c join knowledge_index i on i.id = c.index_id where i.knowledge_base_id = $1 order by c.text',
      [uuid()],
    );
    expect(left.map(({ text }) => text)).toEqual(['The tide: kept.', 'The tide: later.']);
  });
});

describe('freeing', () => {
  it('comes back for a revision that somebody held', async () => {
    for (const document of ['d0', 'd1', 'd2'])
      for (const text of ['first', 'second']) await edit(document, `${text} of ${document}`);
    await age();
    const [tenant] = await rows<{ id: string }>('select tenant_id as id from knowledge_base where id = $1', [uuid()]);
    const scope = { tenantId: tenant?.id ?? '' };
    const replaced = `from revision r join document d on d.id = r.document_id
      where r.knowledge_base_id = $1 and r.number = 1 and d.external_id in ('d0', 'd1')`;
    // While the first of two revisions is freed, somebody comes who wants the second one.
    once('retention.freeing', () =>
      rows(
        `insert into pending_change (tenant_id, knowledge_base_id, document_id, kind, revision_id)
         select r.tenant_id, r.knowledge_base_id, r.document_id, 'publish', r.id ${replaced}`,
        [uuid()],
      ),
    );
    await service.part(Retention).retain(scope, uuid());
    expect(await rows(`select r.id ${replaced}`, [uuid()])).toHaveLength(1);
    expect(await freed()).toEqual([]);
    await rows('delete from pending_change where knowledge_base_id = $1', [uuid()]);
    await service.part(Retention).retain(scope, uuid());
    expect(await rows(`select r.id ${replaced}`, [uuid()])).toEqual([]);
    expect(await freed()).toEqual([0, 1, 2, 3, 4]);
  });

  it('of thousands of versions at once takes time in proportion to how many there are', async () => {
    await edit('d0', 'first');
    await edit('d0', 'second');
    const many = 5000;
    await rows(
      `insert into version (tenant_id, knowledge_base_id, number, parent, index_id, cause, status, stats)
       select tenant_id, knowledge_base_id, n, n - 1, index_id, '{}', case when n = $2 then 'active' else 'retired' end, stats
       from version, generate_series(3, $2::int) n where knowledge_base_id = $1 and number = 2`,
      [uuid(), many],
    );
    await rows(
      `insert into version_change (tenant_id, knowledge_base_id, number, document_id, after)
       select v.tenant_id, v.knowledge_base_id, v.number, d.id, gen_random_uuid()
       from version v join document d on d.knowledge_base_id = v.knowledge_base_id where v.knowledge_base_id = $1 and v.number > 2`,
      [uuid()],
    );
    await rows(`update version set status = 'ready' where knowledge_base_id = $1 and number = 2`, [uuid()]);
    await rows('update knowledge_base set active_version = $2, last_version = $2 where id = $1', [uuid(), many]);
    await age();
    await service.settle();
    expect(await freed()).toHaveLength(many);
    const changes = await rows('select number from version_change where knowledge_base_id = $1', [uuid()]);
    expect(changes).toEqual([{ number: many }]);
    expect(await says()).toEqual(['The tide: second.']);
  });
});

describe('an index that no version ever stood in', () => {
  it('is dropped with its tables after the base was built anew', async () => {
    const sync = (await library.call('POST', '/syncs')).body.id;
    await library.upload({ externalId: 'd0', content: 'The tide: held back.', syncId: sync });
    await service.settle();
    const [first] = await indexes();
    expect(await tables(first?.id)).toBe(2);
    const { id } = await reindex({ language: 'en' });
    await service.settle();
    expect(await state(id)).toMatchObject({ status: 'completed' });
    expect((await indexes()).map((index) => index.id)).not.toContain(first?.id);
    expect(await indexes()).toHaveLength(1);
    expect(await tables(first?.id)).toBe(0);
    await library.call('POST', `/syncs/${sync}/commit`, { body: {} });
    await service.settle();
    expect(await says()).toEqual(['The tide: held back.']);
  });
});
