import { invalidField } from '../errors.js';
import { asUtc } from '../platform/times.js';

const comparisons = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;
const operators = ['eq', 'ne', 'in', 'exists', ...Object.keys(comparisons)];

/** Columns that may be filtered by, beside `metadata.…`. */
const columns: Record<string, { sql: string; type: 'text' | 'timestamptz' }> = {
  externalId: { sql: 'd.external_id', type: 'text' },
  title: { sql: 'd.title', type: 'text' },
  sourceUrl: { sql: 'd.source_url', type: 'text' },
  sourceUpdatedAt: { sql: 'd.source_updated_at', type: 'timestamptz' },
  createdAt: { sql: 'd.created_at', type: 'timestamptz' },
};

const bad = (message: string) => invalidField('filter', message);

/**
 * A filter as a condition on `document d`: `{"all":[…]}`, `{"any":[…]}`, `{"not":…}`, or `{"field":…, "<operator>":…}`.
 * Names and values only ever travel as parameters, which are appended.
 * @throws ApiError validation_failed with what is wrong
 */
export function filterCondition(filter: unknown, parameters: unknown[]): string {
  let nodes = 0;
  const compile = (node: unknown, depth: number): string => {
    if (++nodes > 100 || depth > 8) throw bad('is too large: 100 conditions, 8 levels deep at most');
    if (node === null || typeof node !== 'object' || Array.isArray(node)) throw bad('must be an object');
    const keys = Object.keys(node);
    const inner = node as Record<string, unknown>;
    const [only] = keys;
    if (keys.length === 1 && (only === 'all' || only === 'any')) {
      const parts = inner[only];
      if (!Array.isArray(parts)) throw bad(`"${only}" must be a list`);
      if (parts.length === 0) return only === 'all' ? 'true' : 'false';
      return `(${parts.map((part) => compile(part, depth + 1)).join(only === 'all' ? ' and ' : ' or ')})`;
    }
    if (keys.length === 1 && only === 'not') return `not ${compile(inner['not'], depth + 1)}`;
    return leaf(inner, parameters);
  };
  return compile(filter, 0);
}

function leaf(node: Record<string, unknown>, parameters: unknown[]): string {
  const { field, ...rest } = node;
  const [[operator, value] = ['', undefined], more] = Object.entries(rest);
  if (typeof field !== 'string' || more || !operators.includes(operator)) {
    throw bad(`each condition is {"field": …, and one of ${operators.join(', ')}}, or one of all, any, not`);
  }
  const bind = (bound: unknown) => `$${parameters.push(bound)}`;
  // A missing value makes a comparison null: that is "no", also under "not".
  return `coalesce(${field.startsWith('metadata.') ? onMetadata(field, operator, value, bind) : onColumn(field, operator, value, bind)}, false)`;
}

type Bind = (value: unknown) => string;

function onColumn(field: string, operator: string, value: unknown, bind: Bind): string {
  const column = Object.hasOwn(columns, field) ? columns[field] : undefined;
  if (!column)
    throw bad(`"${field.slice(0, 100)}" is not a field: use metadata.<name>, ${Object.keys(columns).join(', ')}`);
  if (operator === 'exists') return `(${column.sql} is not null) = ${bind(flag(value))}::boolean`;
  const typed = (one: unknown) => {
    if (typeof one !== 'string') throw bad(`"${field}" is compared with text`);
    const compared = column.type === 'timestamptz' ? asUtc(one) : one;
    if (compared === null) throw bad(`"${field}" is compared with an ISO 8601 time`);
    return compared;
  };
  if (operator === 'in') return `${column.sql} = any(${bind(list(value).map(typed))}::${column.type}[])`;
  const compared = `${bind(typed(value))}::${column.type}`;
  if (operator === 'eq') return `${column.sql} = ${compared}`;
  if (operator === 'ne') return `${column.sql} is distinct from ${compared}`;
  return `${column.sql} ${comparisons[operator as keyof typeof comparisons]} ${compared}`;
}

/** `eq` on a list in the metadata means that the list holds the value. */
function onMetadata(field: string, operator: string, value: unknown, bind: Bind): string {
  // Before its path is bound: PostgreSQL refuses a parameter that the statement does not use.
  if (operator === 'in' && list(value).length === 0) return 'false';
  const at = `d.metadata #> ${bind(field.split('.').slice(1))}::text[]`;
  const holds = (one: unknown) => `(${at}) @> ${bind(JSON.stringify(scalar(one)))}::jsonb`;
  if (operator === 'exists') return `((${at}) is not null) = ${bind(flag(value))}::boolean`;
  if (operator === 'eq') return holds(value);
  if (operator === 'ne') return `not coalesce(${holds(value)}, false)`;
  if (operator === 'in') return `(${list(value).map(holds).join(' or ')})`;
  const sign = comparisons[operator as keyof typeof comparisons];
  if (typeof value === 'number' && Number.isFinite(value)) {
    return `case when jsonb_typeof(${at}) = 'number' then (${at})::numeric ${sign} ${bind(String(value))}::numeric end`;
  }
  if (typeof value === 'string')
    return `case when jsonb_typeof(${at}) = 'string' then (${at} #>> '{}') collate "C" ${sign} ${bind(value)} end`;
  throw bad(`"${operator}" takes a number or a text`);
}

function scalar(value: unknown): string | number | boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value)))
    return value;
  throw bad('values are text, numbers or booleans');
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value) || value.length > 1000) throw bad('"in" takes a list of at most 1000 values');
  return value;
}

function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw bad('"exists" takes true or false');
  return value;
}
