import { describe, expect, it } from 'vitest';
import { ApiError } from '../../src/errors.js';
import { filterCondition } from '../../src/retrieval/filter.js';

const compile = (filter: unknown, parameters: unknown[] = []) => ({
  sql: filterCondition(filter, parameters),
  parameters,
});

const titleIs = (parameter: number) => `coalesce(d.title = $${parameter}::text, false)`;

describe('a filter', () => {
  it('carries names and values only as parameters, after those that were there', () => {
    const hostile = `'); drop table document; --`;
    for (const filter of [
      { field: `metadata.${hostile}`, eq: hostile },
      { field: 'title', in: [hostile] },
      { field: `metadata.${hostile}`, gt: hostile },
    ]) {
      const { sql, parameters } = compile(filter, ['taken']);
      expect(sql).not.toContain('drop');
      expect(sql).toContain('$2');
      expect(parameters[0]).toBe('taken');
      expect(JSON.stringify(parameters)).toContain('drop table');
    }
  });

  it('joins all by "and", any by "or", and turns not around', () => {
    const [a, b] = [
      { field: 'title', eq: 'a' },
      { field: 'title', eq: 'b' },
    ];
    expect(compile({ all: [a, b] }).sql).toBe(`(${titleIs(1)} and ${titleIs(2)})`);
    expect(compile({ any: [a, { not: b }] }).sql).toBe(`(${titleIs(1)} or not ${titleIs(2)})`);
  });

  it('of nothing: all of no condition holds, any of none does not', () => {
    expect([compile({ all: [] }).sql, compile({ any: [] }).sql]).toEqual(['true', 'false']);
  });

  it('compares times as times and numbers as numbers', () => {
    expect(compile({ field: 'sourceUpdatedAt', gte: '2026-01-01' })).toEqual({
      sql: 'coalesce(d.source_updated_at >= $1::timestamptz, false)',
      parameters: ['2026-01-01T00:00:00.000Z'],
    });
    expect(compile({ field: 'metadata.a.b', lt: 3 })).toMatchObject({
      sql: expect.stringContaining('::numeric < $2::numeric'),
      parameters: [['a', 'b'], '3'],
    });
  });

  it.each([
    ['no object', 'title'],
    ['null', null],
    ['a list', []],
    ['nothing', {}],
    ['a field without an operator', { field: 'title' }],
    ['two operators', { field: 'title', eq: 'a', ne: 'b' }],
    ['an operator that is not ours', { field: 'metadata.a', $ne: 1 }],
    ['a field that is not ours', { field: 'tenant_id', eq: 'x' }],
    ['a field named after what objects inherit', { field: 'constructor', eq: 'x' }],
    ['an operator beside all', { all: [], field: 'title', eq: 'a' }],
    ['all without a list', { all: { field: 'title', eq: 'a' } }],
    ['an object as a value', { field: 'metadata.a', eq: { $gt: '' } }],
    ['in without a list', { field: 'metadata.a', in: 'a' }],
    ['1,001 values', { field: 'metadata.a', in: Array.from({ length: 1001 }, String) }],
    ['exists with a text', { field: 'title', exists: 'yes' }],
    ['a time that is none', { field: 'createdAt', gt: 'soon' }],
    ['a number for a text', { field: 'title', eq: 1 }],
    ['a comparison with a flag', { field: 'metadata.a', gt: true }],
    ['101 conditions', { all: Array.from({ length: 101 }, () => ({ field: 'title', eq: 'a' })) }],
    ['nine levels', Array.from({ length: 9 }).reduce((inner) => ({ not: inner }), { field: 'title', eq: 'a' })],
  ])('of %s is refused as the field "filter"', (_, filter) => {
    const refusal = (() => {
      try {
        return compile(filter);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toBeInstanceOf(ApiError);
    expect(refusal).toMatchObject({ code: 'validation_failed', fields: [{ field: 'filter' }] });
  });
});
