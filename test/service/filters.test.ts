import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Service, joinService } from './harness.js';
import { type Library, openLibrary } from './library.js';

let service: Service;
let library: Library;

beforeAll(async () => {
  service = await joinService();
  library = await openLibrary(service);
  const manual = (externalId: string, details: Record<string, unknown>) =>
    library.upload({ externalId, content: `The manual of ${externalId}.`, ...details });
  await manual('a', {
    metadata: { product: 'x', year: 2024, tags: ['red', 'round'] },
    sourceUpdatedAt: '2024-05-01T00:00:00Z',
  });
  await manual('b', { metadata: { product: 'y', year: 2025, tags: ['red'] }, sourceUpdatedAt: '2025-05-01T00:00:00Z' });
  await manual('c', { metadata: { product: 'y', year: 2026, draft: true, nested: { level: 'deep' } } });
  await manual('d', { metadata: {} });
  await service.settle();
});
afterAll(() => service.stop());

const found = async (filter: unknown) => (await library.finds('manual', { filter, topK: 50 })).sort();

const field = (name: string, test: Record<string, unknown>) => ({ field: name, ...test });
const product = (test: Record<string, unknown>) => field('metadata.product', test);

describe('a search filter', () => {
  it.each([
    ['eq', product({ eq: 'y' }), ['b', 'c']],
    ['ne, which takes what has no such field', product({ ne: 'y' }), ['a', 'd']],
    ['in', product({ in: ['x', 'z'] }), ['a']],
    ['in an empty list', product({ in: [] }), []],
    ['exists', product({ exists: true }), ['a', 'b', 'c']],
    ['exists not', product({ exists: false }), ['d']],
    ['gt on numbers', field('metadata.year', { gt: 2024 }), ['b', 'c']],
    ['lte on numbers', field('metadata.year', { lte: 2025 }), ['a', 'b']],
    ['a boolean', field('metadata.draft', { eq: true }), ['c']],
    ['a nested field', field('metadata.nested.level', { eq: 'deep' }), ['c']],
    ['an element of a list', field('metadata.tags', { eq: 'red' }), ['a', 'b']],
    ['one of some elements of a list', field('metadata.tags', { in: ['round', 'square'] }), ['a']],
    ['a time', field('sourceUpdatedAt', { gte: '2025-01-01' }), ['b']],
    ['a column that is not there', field('sourceUpdatedAt', { exists: false }), ['c', 'd']],
    ['the external id', field('externalId', { in: ['a', 'd'] }), ['a', 'd']],
    ['all', { all: [product({ eq: 'y' }), field('metadata.year', { gt: 2025 })] }, ['c']],
    ['any', { any: [product({ eq: 'x' }), field('metadata.draft', { eq: true })] }, ['a', 'c']],
    ['not', { not: product({ eq: 'y' }) }, ['a', 'd']],
    [
      'a nest of them',
      {
        all: [
          { not: { any: [product({ eq: 'x' }), field('metadata.draft', { exists: true })] } },
          field('metadata.year', { exists: true }),
        ],
      },
      ['b'],
    ],
    ['nothing, with an empty all', { all: [] }, ['a', 'b', 'c', 'd']],
    ['everything out, with an empty any', { any: [] }, []],
    ['a number that is no number', field('metadata.product', { gt: 3 }), []],
    ['a value that looks like SQL', product({ eq: "y' or true --" }), []],
  ])('takes %s', async (_name, filter, expected) => {
    expect(await found(filter)).toEqual(expected);
  });

  it.each([
    ['an unknown field', field('metadata', { eq: 'x' })],
    ['a column of ours', field('tenant_id', { eq: 'x' })],
    ['an inherited name', field('constructor', { eq: 'x' })],
    ['an unknown operator', product({ like: 'x' })],
    ['two operators', product({ eq: 'x', ne: 'y' })],
    ['no operator', { field: 'metadata.product' }],
    ['an object for a value', product({ eq: { a: 1 } })],
    ['a time that is none', field('sourceUpdatedAt', { gt: 'yesterday' })],
    ['exists with a text', product({ exists: 'yes' })],
    ['a list of nothing known', { all: [null] }],
    ['a deep nest', JSON.parse('{"not":'.repeat(20) + '{"all":[]}' + '}'.repeat(20)) as object],
  ])('is refused with %s', async (_name, filter) => {
    const answer = await library.call('POST', '/search', { body: { query: 'manual', filter } });
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ field: 'filter' }] } });
  });
});
