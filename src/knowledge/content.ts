import { Injectable } from '@nestjs/common';
import { type Principal, visibleTo } from '../access/principal.js';
import { ApiError, invalidField, notFound } from '../errors.js';
import { BlobStore } from '../platform/blobs.js';
import { Database, type Transaction } from '../platform/database.js';
import { readId, showId } from '../platform/ids.js';
import { type Passage, passageColumns } from './chunks.js';
import { type DocumentRow, openDocument } from './documents.js';
import { openBase } from './knowledge-bases.js';

interface RevisionRow {
  id: string;
  number: number;
  filename: string | null;
  content_type: string | null;
  content_hash: string;
  text: string | null;
  pages: { page: number; start: number; end: number }[] | null;
}

/** What a document says: its stored text, into which every offset of a chunk or citation points, and its chunks. */
@Injectable()
export class Content {
  constructor(
    private readonly database: Database,
    private readonly blobs: BlobStore,
  ) {}

  /** The stored text of the revision that answers now, or of the one that a citation names. */
  async text(principal: Principal, base: string, id: string, revision: string | undefined) {
    const { document, row } = await this.revision(principal, base, id, revision);
    if (row.text === null)
      throw new ApiError('conflict', 'This document has no text yet: it is still being read, or could not be.');
    return {
      documentId: showId('doc', document.id),
      revision: showId('rev', row.id),
      title: document.title,
      contentType: row.content_type,
      text: row.text,
      pages: row.pages,
    };
  }

  /** The bytes as they were uploaded. */
  async original(principal: Principal, base: string, id: string, revision: string | undefined) {
    const { row } = await this.revision(principal, base, id, revision);
    return { bytes: await this.blobs.get(principal.tenantId, row.content_hash), filename: row.filename };
  }

  /** The chunks that answer now, in the order of the text. */
  async chunks(principal: Principal, base: string, id: string, query: { limit: number; cursor?: string }) {
    const after = query.cursor === undefined ? -1 : Number(query.cursor);
    if (!Number.isInteger(after)) throw invalidField('cursor', 'is not a cursor of this list');
    return this.database.as(principal, async (tx) => {
      const { id: baseId, activeVersion } = await openBase(tx, principal, base);
      const document = await openDocument(tx, principal, baseId, id);
      const parameters: unknown[] = [baseId, activeVersion, document.id, after, query.limit + 1];
      const visible = visibleTo(principal, parameters);
      const rows = await tx.rows<{ id: string } & Passage>(
        `select c.id, ${passageColumns}
         from version v join chunk c on c.index_id = v.index_id join document d on d.id = c.document_id
         where v.knowledge_base_id = $1 and v.number = $2 and c.document_id = $3 and c.visible @> v.number and c.ordinal > $4 and ${visible}
         order by c.ordinal limit $5`,
        parameters,
      );
      const data = rows
        .slice(0, query.limit)
        .map(({ id: chunk, ...passage }) => ({ id: showId('chk', chunk), ...passage }));
      return { data, nextCursor: rows.length > query.limit ? String(data.at(-1)?.ordinal) : null };
    });
  }

  private async revision(principal: Principal, base: string, id: string, shownRevision: string | undefined) {
    return this.database.as(principal, async (tx) => {
      const { id: baseId } = await openBase(tx, principal, base);
      const document = await openDocument(tx, principal, baseId, id);
      const wanted = shownRevision === undefined ? answering(principal, document) : readId('rev', shownRevision);
      return { document, row: await this.read(tx, principal, document, wanted) };
    });
  }

  private async read(
    tx: Transaction,
    principal: Principal,
    document: DocumentRow,
    revisionId: string,
  ): Promise<RevisionRow> {
    const parameters: unknown[] = [revisionId, document.id];
    const visible = visibleTo(principal, parameters);
    const row = await tx.row<RevisionRow>(
      `select r.id, r.number, r.filename, r.content_type, r.content_hash, p.text, p.pages
       from revision r join document d on d.id = r.document_id left join parse p on p.revision_id = r.id
       where r.id = $1 and r.document_id = $2 and ${visible}`,
      parameters,
    );
    if (!row) throw notFound();
    return row;
  }
}

/**
 * The revision that answers now. Before there is one, and after it was unpublished, its text is for those who write
 * documents or may look back.
 */
function answering(principal: Principal, document: DocumentRow): string {
  if (document.served_id !== null) return document.served_id;
  if (!principal.scopes.has('documents:write') && !principal.scopes.has('versions:look-back')) {
    throw new ApiError('conflict', 'This document answers nothing at the moment: it is not published.');
  }
  return document.revision_id;
}
