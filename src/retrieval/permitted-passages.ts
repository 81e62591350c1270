import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { termVector } from '../knowledge/terms.js';
import type { Transaction } from '../platform/database.js';
import type { Permitted } from './permitted.js';

/** A run of chunks, by number, that the caller may see: a revision in a segment. */
export interface PermittedRun {
  revisionId: string;
  documentId: string;
  base: number;
  chunks: number;
}

/** How often each term of the question stands in a document's title and in its metadata. */
export interface Head {
  title: readonly number[];
  metadata: readonly number[];
}

/** What a caller may see of a segment: runs by rising base. */
export interface PermittedSegment {
  no: number;
  runs: readonly PermittedRun[];
  /** By chunk number: the place of its run, -1 for a chunk that is not permitted. As long as the last run reaches. */
  runOf: Int32Array;
}

/** All that a caller may see of a version. The same object as long as it is the same passages: what is derived may hang on it. */
export interface PermittedPassages {
  /** How many. */
  count: number;
  /** Of all in the index, whichever version shows them: 0 to 1. */
  share: number;
  /** What they are in, as ISO 639-1 codes. */
  languages: readonly string[];
  segments: readonly PermittedSegment[];
}

/** With what titles and metadata say of a question: for each segment, by the place of a run; only where they say anything. */
export interface AskedPassages {
  passages: PermittedPassages;
  heads: ReadonlyMap<number, Head>[];
}

interface LiveRow {
  /** The documents' ids, 16 bytes each. */
  ids: string | null;
  /** Packed counts: a document's id, then two int4 a term, of title and of metadata. */
  heads: string | null;
  segments: number[] | null;
}

interface RunsRow {
  segment: number;
  /** Packed: base and number of chunks as int4, the revision's and the document's id; by rising base. */
  runs: string;
  languages: string[];
  /** Chunks of the whole index. */
  all: number;
}

const idBytes = 16;
const runBytes = 8 + 2 * idBytes;

// What is kept at most, in runs and chunks: some 60 MB.
const mostKept = 4_000_000;

/**
 * Which passages a caller may see. Which documents that are is read live for every question. Where their chunks stand
 * follows from them, since neither a segment nor what a published version shows ever changes, and is kept.
 */
@Injectable()
export class PermittedReader {
  private readonly kept = new LRUCache<string, PermittedPassages>({
    maxSize: mostKept,
    sizeCalculation: ({ segments }) =>
      segments.reduce((sum, { runs, runOf }) => sum + 10 * runs.length + Math.ceil(runOf.length / 4), 1),
  });

  /**
   * @param tx a transaction on one snapshot
   * @param asked the terms of the question, each with its variants
   */
  async read(tx: Transaction, permitted: Permitted, asked: readonly string[][]): Promise<AskedPassages> {
    const { ids, heads, segments } = await readLive(tx, permitted, asked);
    const name = [permitted.indexId, permitted.version, segments?.join() ?? '', ids ?? ''].join(' ');
    const key = createHash('sha256').update(name).digest('base64');
    let passages = this.kept.get(key);
    if (!passages) this.kept.set(key, (passages = await readPlaces(tx, permitted)));
    return { passages, heads: placed(passages, readHeads(heads, asked.length)) };
  }
}

/** The permitted documents, and those of them whose title or metadata hold a term of the question. Packed: rows take longer to send than to find. */
async function readLive(tx: Transaction, permitted: Permitted, asked: readonly string[][]): Promise<LiveRow> {
  const parameters = [...permitted.parameters];
  const head = asked.length === 0 ? 'null::bytea' : headOf(asked, parameters);
  const row = await tx.row<LiveRow>(
    `with permitted as materialized (select d.id, ${head} as head from document d where ${permitted.condition})
     select encode(string_agg(uuid_send(id), ''::bytea order by id), 'base64') as ids,
       encode(string_agg(uuid_send(id) || head, ''::bytea) filter (where head is not null), 'base64') as heads,
       (select array_agg(no order by no) from segment where index_id = ${permitted.indexId}) as segments
     from permitted`,
    parameters,
  );
  return row ?? { ids: null, heads: null, segments: null };
}

/** As SQL: the counts of what title and metadata hold of the question, null when that is nothing. */
function headOf(asked: readonly string[][], parameters: unknown[]): string {
  const product = (column: string, terms: string[]) => {
    const ones = termVector(new Map(terms.map((term) => [term, 1])));
    return `-(d.${column} <#> $${parameters.push(ones)}::sparsevec)`;
  };
  const counts = asked.map((variants) => {
    const [title, metadata] = [product('title_terms', variants), product('metadata_terms', variants)];
    return `int4send((${title})::int) || int4send(coalesce(${metadata}, 0)::int)`;
  });
  const all = asked.flat();
  const any = `${product('title_terms', all)} > 0 or ${product('metadata_terms', all)} > 0`;
  return `case when ${any} then ${counts.join(' || ')} end`;
}

/** Where the chunks stand that the version shows of the permitted documents. */
async function readPlaces(tx: Transaction, permitted: Permitted): Promise<PermittedPassages> {
  const rows = await tx.rows<RunsRow>(
    `with permitted as materialized (select d.id from document d where ${permitted.condition})
     select s.segment_no as segment,
       encode(string_agg(int4send(s.base) || int4send(s.chunks) || uuid_send(s.revision_id) || uuid_send(s.document_id), ''::bytea
         order by s.base), 'base64') as runs,
       array_agg(distinct coalesce(s.language, 'en')) as languages,
       (select sum(chunks)::int from segment where index_id = ${permitted.indexId}) as all
     from permitted p join segment_revision s on s.index_id = ${permitted.indexId} and s.document_id = p.id
       cross join lateral (
         select 1 from chunk c where c.index_id = ${permitted.indexId} and c.revision_id = s.revision_id and c.ordinal = 0
           and c.visible @> ${permitted.version} offset 0) shown
     group by s.segment_no order by s.segment_no`,
    permitted.parameters,
  );
  const segments = rows.map(({ segment, runs }) => unpack(segment, Buffer.from(runs, 'base64')));
  const count = segments.reduce((sum, { runs }) => runs.reduce((all, { chunks }) => all + chunks, sum), 0);
  const languages = [...new Set(rows.flatMap((row) => row.languages))].sort();
  return { count, share: count / (rows[0]?.all ?? Infinity), languages, segments };
}

function unpack(no: number, packed: Buffer): PermittedSegment {
  const runs = Array.from({ length: packed.length / runBytes }, (_, at) => {
    const start = at * runBytes;
    const ids = start + 8;
    return {
      base: packed.readInt32BE(start),
      chunks: packed.readInt32BE(start + 4),
      revisionId: uuidOf(packed.subarray(ids, ids + idBytes)),
      documentId: uuidOf(packed.subarray(ids + idBytes, ids + 2 * idBytes)),
    };
  });
  const last = runs.at(-1);
  const runOf = new Int32Array(last ? last.base + last.chunks : 0).fill(-1);
  runs.forEach(({ base, chunks }, place) => runOf.fill(place, base, base + chunks));
  return { no, runs, runOf };
}

function readHeads(packed: string | null, asked: number): Map<string, Head> {
  const bytes = Buffer.from(packed ?? '', 'base64');
  const size = idBytes + 8 * asked;
  return new Map(
    Array.from({ length: bytes.length / size }, (_, at) => {
      const start = at * size;
      const read = (place: number) => bytes.readInt32BE(start + idBytes + 4 * place);
      const title = Array.from({ length: asked }, (_term, term) => read(2 * term));
      const metadata = Array.from({ length: asked }, (_term, term) => read(2 * term + 1));
      return [uuidOf(bytes.subarray(start, start + idBytes)), { title, metadata }];
    }),
  );
}

function placed({ segments }: PermittedPassages, heads: ReadonlyMap<string, Head>): Map<number, Head>[] {
  return segments.map(({ runs }) => {
    const own = new Map<number, Head>();
    if (heads.size === 0) return own;
    runs.forEach(({ documentId }, place) => {
      const head = heads.get(documentId);
      if (head) own.set(place, head);
    });
    return own;
  });
}

function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
