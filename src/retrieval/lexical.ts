import { placeOf, termVector } from '../knowledge/terms.js';
import type { Transaction } from '../platform/database.js';
import { bestPassages, type LexicalHit } from './best-passages.js';
import type { PermittedRun, ScoredSegment } from './bm25.js';
import type { PostingCache } from './posting-cache.js';
import type { Permitted } from './ranking.js';
import { termClasses, unite } from './term-classes.js';

// A question longer than this is cut: each term costs a lookup a segment.
const maxTerms = 32;

interface SegmentRow {
  segment: number;
  /** Packed runs: base and number of chunks as int4, the revision's id; 24 bytes each, by rising base. */
  runs: string;
  /** Packed counts: base, then two int4 a term, of title and of metadata; only of documents where either holds any. */
  heads: string | null;
}

const runBytes = 24;

/** The best passages by their words, and everything that was permitted, from which statistics may be drawn. */
export interface LexicalResult {
  hits: LexicalHit[];
  segments: ScoredSegment[];
}

/**
 * BM25 over the posting lists, scored here over nothing but the passages that the version shows and the caller may see,
 * both read live. No text is read.
 * @param permitted documents the caller may see, as SQL over `document d`
 * @returns the best `depth`; null for a question without a searchable word
 */
export async function lexicalSearch(
  tx: Transaction,
  cache: PostingCache,
  permitted: Permitted,
  question: string,
  depth: number,
): Promise<LexicalResult | null> {
  const asked = termClasses(question, permitted.languages).slice(0, maxTerms);
  if (asked.length === 0) return null;
  const variants = asked.map((each) => each.variants);
  const rows = await readPermitted(tx, permitted, variants);
  const postings = await cache.load(
    tx,
    permitted.indexId,
    rows.map(({ segment }) => segment),
    variants.flat().map(placeOf),
  );
  const sizes = variants.map(({ length }) => length);
  const segments = rows.map((row, at) => ({
    runs: readRuns(row, asked.length),
    lengths: postings[at]?.lengths ?? new Uint16Array(),
    postings: unite(postings[at]?.postings ?? [], sizes),
  }));
  const counts = asked.map(({ count }) => count);
  return { hits: bestPassages(segments, counts, depth), segments };
}

/**
 * One statement for what may be searched: which chunks of which segments, and what titles and metadata say. Packed, because a row
 * for each of 20,000 documents takes longer to send than to find.
 */
function readPermitted(tx: Transaction, permitted: Permitted, asked: string[][]): Promise<SegmentRow[]> {
  const parameters = [...permitted.parameters];
  const any = `$${parameters.push(ones(asked.flat()))}::sparsevec`;
  const counts = asked.map((variants) => {
    const vector = `$${parameters.push(ones(variants))}::sparsevec`;
    return `int4send((-(d.title_terms <#> ${vector}))::int) || int4send(coalesce(-(d.metadata_terms <#> ${vector}), 0)::int)`;
  });
  return tx.rows<SegmentRow>(
    `with permitted as materialized (
       select d.id, case when d.title_terms <#> ${any} < 0 or d.metadata_terms <#> ${any} < 0 then ${counts.join(' || ')} end as head
       from document d where ${permitted.condition}
     )
     select s.segment_no as segment,
       encode(string_agg(int4send(s.base) || int4send(s.chunks) || uuid_send(s.revision_id), ''::bytea order by s.base), 'base64') as runs,
       encode(string_agg(int4send(s.base) || p.head, ''::bytea order by s.base), 'base64') as heads
     from permitted p join segment_revision s on s.index_id = ${permitted.indexId} and s.document_id = p.id
       cross join lateral (
         select 1 from chunk c where c.index_id = ${permitted.indexId} and c.revision_id = s.revision_id and c.ordinal = 0
           and c.visible @> ${permitted.version} offset 0) shown
     group by s.segment_no order by s.segment_no`,
    parameters,
  );
}

/** Its inner product with what a title says is how often the title holds any of these. */
const ones = (terms: string[]): string => termVector(new Map(terms.map((term) => [term, 1])));

function readRuns({ runs, heads }: SegmentRow, asked: number): PermittedRun[] {
  const packed = Buffer.from(runs, 'base64');
  const headed = readHeads(heads, asked);
  return Array.from({ length: packed.length / runBytes }, (_, at) => {
    const start = at * runBytes;
    const base = packed.readInt32BE(start);
    return {
      base,
      chunks: packed.readInt32BE(start + 4),
      revisionId: uuidOf(packed.subarray(start + 8, start + runBytes)),
      head: headed.get(base) ?? null,
    };
  });
}

function readHeads(heads: string | null, asked: number): Map<number, NonNullable<PermittedRun['head']>> {
  const packed = Buffer.from(heads ?? '', 'base64');
  const size = 4 * (2 * asked + 1);
  return new Map(
    Array.from({ length: packed.length / size }, (_, at) => {
      const read = (place: number) => packed.readInt32BE(at * size + 4 * place);
      const title = Array.from({ length: asked }, (_term, term) => read(1 + 2 * term));
      const metadata = Array.from({ length: asked }, (_term, term) => read(2 + 2 * term));
      return [read(0), { title, metadata }];
    }),
  );
}

function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
