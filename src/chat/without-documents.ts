import { showId } from '../platform/ids.js';
import { type Citation, dropStatements } from './citations.js';

/** What of a deleted document is still said of it: which it was, and where the quote stood. */
export type KeptCitation =
  Citation | (Pick<Citation, 'marker' | 'documentId' | 'revision' | 'start' | 'end'> & { deleted: true });

/** An answer as it is stored, with the documents that it may repeat, also from earlier answers. */
export interface KeptRecord {
  answer: string;
  outcome: string;
  mode: string;
  citations: KeptCitation[];
  documentIds: string[];
  passages: { documentId?: string; revision: string; start: number; end: number }[];
  [more: string]: unknown;
}

/** Its words and its record: the words stand in both. */
export interface KeptMessage {
  text: string;
  record: KeptRecord;
}

/**
 * A stored answer without the words of documents that were deleted: no quote, title, section or address of theirs, none of
 * their passages, and nothing of the answer that was made from them. The built-in answerer quotes sentence by sentence,
 * each with its marker, so that the others stay. What a model wrote cannot be told apart: all of it goes.
 * @param gone their UUIDs
 */
export function withoutDocuments(
  { text, record }: KeptMessage,
  gone: readonly string[],
): KeptMessage & { removed: { passages: number; citations: number } } {
  const ids = new Set(gone.filter((id) => record.documentIds.includes(id)).map((id) => showId('doc', id)));
  if (ids.size === 0) return { text, record, removed: { passages: 0, citations: 0 } };
  const cited = record.citations.filter(({ documentId }) => ids.has(documentId));
  const passages = record.passages.filter(({ documentId }) => documentId === undefined || !ids.has(documentId));
  const markers = new Set(cited.map(({ marker }) => marker));
  const left = (answer: string): string => {
    if (record.outcome === 'not_found') return answer;
    return record.mode === 'extractive' ? dropStatements(answer, markers) : '';
  };
  return {
    text: left(text),
    record: {
      ...record,
      answer: left(record.answer),
      citations: record.citations.map((one) => bare(one, ids)),
      passages,
    },
    removed: {
      passages: record.passages.length - passages.length,
      citations: cited.filter((citation) => !('deleted' in citation)).length,
    },
  };
}

function bare(citation: KeptCitation, gone: ReadonlySet<string>): KeptCitation {
  const { marker, documentId, revision, start, end } = citation;
  return gone.has(documentId) ? { marker, documentId, revision, start, end, deleted: true } : citation;
}
