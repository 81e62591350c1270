import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

interface Found {
  document: { externalId: string };
  section: string[];
  text: string;
  score: number;
  signals: Record<string, number | null>;
}

let service: Service;

beforeAll(async () => {
  service = await joinService();
});
afterAll(() => service.stop());

async function found(library: Library, query: string, key?: string): Promise<Found[]> {
  return (await library.search(query, { mode: 'keyword', topK: 50 }, key === undefined ? {} : { key })).results;
}

const first = async (library: Library, query: string): Promise<string | undefined> =>
  (await found(library, query))[0]?.document.externalId;

/** Several chunks, the same in every filing: only what stands outside the text tells them apart. */
const filing = ['Revenue', 'Costs', 'Staff']
  .map((topic) => `# ${topic}\n\n${`The ${topic.toLowerCase()} of the year are told in this part. `.repeat(12)}`)
  .join('\n\n');

describe('what metadata says', () => {
  let library: Library;

  beforeAll(async () => {
    library = await openLibrary(service);
    for (const [company, year] of [
      ['Acme', 2021],
      ['Acme', 2022],
      ['Globex', 2021],
      ['Globex', 2022],
    ]) {
      const externalId = `${company}-${year}`;
      await library.upload({
        externalId,
        title: 'Annual report',
        content: filing,
        metadata: { company, about: { year } },
      });
    }
    await service.settle();
  });

  it('decides between texts that are the same', async () => {
    expect(await first(library, 'What was the revenue of Globex in 2021?')).toBe('Globex-2021');
    expect(await first(library, 'What was the revenue of Acme in 2022?')).toBe('Acme-2022');
  });

  it('does not by itself make an answer', async () => {
    expect(await found(library, 'Globex')).toEqual([]);
  });

  it('counts at once when it changes', async () => {
    const [{ id }] = (await library.list('?externalId=Acme-2021')).data;
    await library.call('PATCH', `/documents/${id}`, { body: { metadata: { company: 'Initech', year: 2021 } } });
    expect(await first(library, 'the revenue of Initech')).toBe('Acme-2021');
  });

  it('is read of documents that were there before it counted', async () => {
    await service.database().asOwner((tx) => tx.run('update document set metadata_terms = null'));
    expect((await found(library, 'the revenue of Globex')).every(({ signals }) => signals['context'] === 0)).toBe(true);
    await service.settle();
    expect(await first(library, 'the revenue of Globex in 2022')).toBe('Globex-2022');
  });
});

it('a passage that says "it rose 12 %" is found by company, period and section, none of which it names', async () => {
  const library = await openLibrary(service);
  const told = 'The board has looked at the matter and is content with how things went over all of it. '.repeat(16);
  const content = `# Operating profit\n\n${told}\n\nIt rose 12 %, after 3 % before.\n\n# Staff\n\n${told}`;
  for (const [company, period] of [
    ['Acme', '2021-12-31'],
    ['Acme', '2022-12-31'],
    ['Globex', '2021-12-31'],
    ['Globex', '2022-12-31'],
  ]) {
    await library.upload({
      externalId: `${company}-${period}`,
      title: 'Report',
      content,
      metadata: { company, period },
    });
  }
  await service.settle();
  const [best] = await found(library, 'How far has the operating profit of Globex risen in 2022, in %: it rose …');
  expect(best).toMatchObject({ document: { externalId: 'Globex-2022-12-31' }, section: ['Operating profit'] });
  expect(best?.text).toContain('It rose 12 %');
  expect(best?.text).not.toMatch(/Globex|2022|profit/i);
});

it('a misspelt word finds what has its letters, among what the other words find', async () => {
  const library = await openLibrary(service);
  await library.publish({ externalId: 'a', title: 'A', content: 'The policy for parking at the office.' });
  await library.publish({ externalId: 'b', title: 'B', content: 'The policy for reimbursement of travel.' });
  await library.publish({ externalId: 'c', title: 'C', content: 'The policy for lunch in the canteen.' });
  expect(await first(library, 'reimbursment policy')).toBe('b');
});

it('what a caller may not see changes no score and no part of one', async () => {
  const open = Array.from({ length: 12 }, (_, n) => ({
    externalId: `open-${n}`,
    title: `Note ${n} on travel`,
    content: `Travel by ${n % 2 ? 'train' : 'plane'} needs a request. `.repeat(1 + (n % 5)),
    metadata: { team: n % 3 ? 'sales' : 'legal' },
  }));
  const [alone, beside] = [await openLibrary(service), await openLibrary(service)];
  for (const document of open) {
    await alone.upload(document);
    await beside.upload(document);
    const access = { visibility: 'restricted', allow: ['group:board'] };
    const content = `Travel by helicopter, train and plane for legal number ${document.externalId}.`;
    await beside.upload({ ...document, externalId: `hidden-${document.externalId}`, content, access });
  }
  await service.settle();
  const body = { subject: 'ada', groups: [], scopes: ['search'], ttlSeconds: 3600 };
  const { token } = (await service.call('POST', '/v1/tokens', { body })).body;
  for (const question of ['travel by train', 'legal travel requests', 'helicoptr']) {
    const [expected, seen] = [await found(alone, question, token), await found(beside, question, token)];
    expect(parts(seen)).toEqual(parts(expected));
  }
});

/** By document: the score and its parts, to a millionth. */
function parts(results: Found[]): Record<string, string> {
  return Object.fromEntries(
    results.map(({ document, score, signals }) => [
      document.externalId,
      JSON.stringify([score, ...Object.values(signals)].map((value) => value?.toFixed(6))),
    ]),
  );
}
