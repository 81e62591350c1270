import { DocumentDetailsDto } from '../knowledge/knowledge.dto.js';
import { ChoiceField, TextField } from '../platform/http/fields.js';

/** The fields of a multipart upload beside its `file`; `metadata` and `access` are JSON texts there. */
export class UploadFieldsDto extends DocumentDetailsDto {
  @TextField({
    optional: true,
    max: 500,
    description: "The caller's own id: unique in the base. The same id again is a new revision.",
  })
  externalId?: string;

  @TextField({
    optional: true,
    max: 100,
    description: 'The open sync that this upload is part of: nothing but access changes until it commits.',
  })
  syncId?: string;
}

/** A document given as text in the request itself. */
export class JsonDocumentDto extends UploadFieldsDto {
  @TextField({ min: 0, max: 64 * 1024 * 1024 })
  content: string;

  @ChoiceField({
    optional: true,
    of: [
      'text/plain',
      'text/markdown',
      'text/mdx',
      'text/html',
      'text/csv',
      'application/json',
      'application/x-ipynb+json',
      'application/rss+xml',
      'message/rfc822',
    ],
  })
  contentType = 'text/plain';
}
