import type { MultipartFile } from '@fastify/multipart';
import { plainToInstance } from 'class-transformer';
import type { FastifyRequest } from 'fastify';
import { ApiError, invalidField } from '../errors.js';
import type { BlobStore } from '../platform/blobs.js';
import { validation } from '../platform/http/validation.js';
import type { StagedBlob } from '../platform/staging.js';
import { wellFormed } from '../platform/text.js';
import { UploadFieldsDto } from './upload.dto.js';

interface ReceivedFile {
  /** The receiver's to keep or discard. */
  staged: StagedBlob;
  filename: string | null;
  declaredType: string | null;
}

const structured = new Set(['metadata', 'access']);

/**
 * Reads a multipart upload as it arrives: the file is staged, fields may stand before or after it.
 * @throws ApiError validation_failed for a missing or second file, an unknown or malformed field; nothing stays staged
 */
export async function receive(
  request: FastifyRequest,
  blobs: BlobStore,
  maxBytes: number,
): Promise<ReceivedFile & { fields: UploadFieldsDto }> {
  // Its parts would be waited for in vain, and for ever: the parser learns of the end of a connection only as it happens.
  if (request.raw.destroyed) throw new ApiError('bad_request', 'The connection was closed before the body was read.');
  const files: ReceivedFile[] = [];
  try {
    const values = await readParts(request, async (part) => {
      if (part.fieldname !== 'file' || files.length > 0)
        throw invalidField(part.fieldname, 'exactly one file is expected, as the field "file"');
      const staged = await blobs.stage(part.file, maxBytes);
      files.push({ staged, filename: displayName(part.filename), declaredType: part.mimetype ?? null });
    });
    const [file] = files;
    if (!file) throw invalidField('file', 'is missing: send the document as a multipart field of this name');
    const fields: unknown = await validation().transform(plainToInstance(UploadFieldsDto, values), {
      type: 'body',
      metatype: UploadFieldsDto,
    });
    return { ...file, fields: fields as UploadFieldsDto };
  } catch (error) {
    for (const { staged } of files) await blobs.discard(staged);
    throw asMalformed(error);
  }
}

/** What the parser of multipart bodies throws without a code: the sender's mistake, not ours. */
function asMalformed(error: unknown): unknown {
  const broken = /^Multipart: Boundary not found|^Unexpected end of multipart data|terminated early/;
  return error instanceof Error && broken.test(error.message)
    ? new ApiError('bad_request', 'The body is not whole multipart/form-data.', [], { cause: error })
    : error;
}

/** @returns the fields; each file goes to `take` when it comes */
async function readParts(request: FastifyRequest, take: (file: MultipartFile) => Promise<void>) {
  const values = new Map<string, unknown>();
  for await (const part of request.parts()) {
    if (part.type === 'file') {
      await take(part);
    } else {
      if (part.valueTruncated) throw invalidField(part.fieldname, 'is too long');
      if (values.has(part.fieldname)) throw invalidField(part.fieldname, 'is given twice');
      values.set(part.fieldname, readField(part.fieldname, String(part.value)));
    }
  }
  return Object.fromEntries(values);
}

function readField(name: string, text: string): unknown {
  if (!structured.has(name)) return text;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ApiError('validation_failed', undefined, [{ field: name, message: 'must be JSON' }], { cause });
  }
}

/** The last part of whatever path a client sends, without control and direction characters: shown, never used as a path. */
export function displayName(filename: string | undefined): string | null {
  const name = wellFormed(filename ?? '')
    .split(/[\\/]/)
    .at(-1)
    ?.replaceAll(/[\p{Cc}\p{Cf}]/gu, '')
    .trim()
    .slice(0, 255);
  return name ? name : null;
}
