import type { Readable } from 'node:stream';
import { plainToInstance } from 'class-transformer';
import type { FastifyRequest } from 'fastify';
import { ApiError, invalidField } from '../errors.js';
import { validation } from '../platform/http/validation.js';
import { wellFormed } from '../platform/text.js';
import { UploadFieldsDto } from './upload.dto.js';

export interface ReceivedFile<T> {
  stored: T;
  filename: string | null;
  declaredType: string | null;
  fields: UploadFieldsDto;
}

const structured = new Set(['metadata', 'access']);

/**
 * Reads a multipart upload as it arrives: the file goes straight to `store`, fields may stand before or after it.
 * @throws ApiError validation_failed for a missing or second file, an unknown or malformed field
 */
export async function receive<T>(
  request: FastifyRequest,
  store: (content: Readable) => Promise<T>,
): Promise<ReceivedFile<T>> {
  let file: Omit<ReceivedFile<T>, 'fields'> | null = null;
  const values = new Map<string, unknown>();
  for await (const part of request.parts()) {
    if (part.type === 'file') {
      if (part.fieldname !== 'file' || file)
        throw invalidField(part.fieldname, 'exactly one file is expected, as the field "file"');
      file = {
        stored: await store(part.file),
        filename: displayName(part.filename),
        declaredType: part.mimetype ?? null,
      };
    } else {
      if (part.valueTruncated) throw invalidField(part.fieldname, 'is too long');
      if (values.has(part.fieldname)) throw invalidField(part.fieldname, 'is given twice');
      values.set(part.fieldname, readField(part.fieldname, String(part.value)));
    }
  }
  if (!file) throw invalidField('file', 'is missing: send the document as a multipart field of this name');
  const fields: unknown = await validation().transform(plainToInstance(UploadFieldsDto, Object.fromEntries(values)), {
    type: 'body',
    metatype: UploadFieldsDto,
  });
  return { ...file, fields: fields as UploadFieldsDto };
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
