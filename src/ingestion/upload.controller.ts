import { Readable } from 'node:stream';
import { Body, Controller, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiExtraModels, ApiResponse, ApiTags, getSchemaPath } from '@nestjs/swagger';
import { plainToInstance } from 'class-transformer';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { CONFIG, type Config } from '../config.js';
import { ApiError } from '../errors.js';
import { showDocument } from '../knowledge/documents.js';
import { openBase } from '../knowledge/knowledge-bases.js';
import { type Submission, submit } from '../knowledge/submit.js';
import { BlobClaims } from '../platform/blob-claims.js';
import { BlobStore } from '../platform/blobs.js';
import { boundary } from '../platform/boundary.js';
import { Database } from '../platform/database.js';
import { Idempotency, type IdempotentRequest, isMultipart } from '../platform/http/idempotency.js';
import { validation } from '../platform/http/validation.js';
import type { StagedBlob } from '../platform/staging.js';
import { receive } from './multipart.js';
import { READABLE } from './parsers/format-names.js';
import { JsonDocumentDto, UploadFieldsDto } from './upload.dto.js';
import { UploadLimits } from './upload-limits.js';

/** The way in: bytes staged and checked, then to the blob store, then {document, revision, event} in one transaction, then 202. */
@ApiTags('documents')
@ApiExtraModels(JsonDocumentDto, UploadFieldsDto)
@Controller('v1/knowledge-bases/:kb/documents')
export class UploadController {
  constructor(
    private readonly database: Database,
    private readonly blobs: BlobStore,
    private readonly claims: BlobClaims,
    private readonly limits: UploadLimits,
    private readonly idempotency: Idempotency,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Post()
  @Needs('documents:write')
  @ApiConsumes('multipart/form-data', 'application/json')
  @ApiBody({
    schema: {
      oneOf: [
        {
          type: 'object',
          properties: { file: { type: 'string', format: 'binary', description: `${READABLE}.` } },
          allOf: [{ $ref: getSchemaPath(UploadFieldsDto) }],
        },
        { $ref: getSchemaPath(JsonDocumentDto) },
      ],
    },
  })
  @ApiResponse({ status: 202, description: 'Accepted: the document is queued.' })
  @ApiResponse({ status: 200, description: 'No new revision: the same bytes already answer, or only details changed.' })
  async upload(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Req() request: IdempotentRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Body() body: unknown,
  ) {
    // A base that is not there is said before a large file is taken.
    await this.database.as(principal, (tx) => openBase(tx, principal, kb));
    return this.limits.admit(principal, () =>
      isMultipart(request)
        ? this.takeFile(principal, kb, request, reply)
        : this.takeJson(principal, kb, request, reply, body),
    );
  }

  private async takeFile(principal: Principal, kb: string, request: IdempotentRequest, reply: FastifyReply) {
    const { staged, filename, declaredType, fields } = await receive(request, this.blobs, this.config.upload.maxBytes);
    try {
      const { hash, size } = staged;
      const wish = { ...fields, content: { hash, size, filename, declaredType }, requestId: request.id };
      return await this.idempotency.once(request, reply, JSON.stringify({ ...wish, requestId: null }), () =>
        this.accept(principal, kb, staged, wish, reply),
      );
    } finally {
      await this.blobs.discard(staged);
    }
  }

  private async takeJson(
    principal: Principal,
    kb: string,
    request: FastifyRequest,
    reply: FastifyReply,
    body: unknown,
  ) {
    const { content, contentType, ...fields } = await readJson(body);
    const staged = await this.blobs.stage(Readable.from([Buffer.from(content, 'utf8')]), this.config.upload.maxBytes);
    try {
      const { hash, size } = staged;
      const described = { hash, size, filename: null, declaredType: contentType };
      return await this.accept(principal, kb, staged, { ...fields, content: described, requestId: request.id }, reply);
    } finally {
      await this.blobs.discard(staged);
    }
  }

  private async accept(principal: Principal, kb: string, staged: StagedBlob, wish: Submission, reply: FastifyReply) {
    const { status, shown } = await this.claims.keep(principal, staged, async (tx) => {
      const { document, unchanged, queued } = await submit(tx, principal, await openBase(tx, principal, kb), wish);
      const answer = { status: queued ? 202 : 200, shown: { ...showDocument(document), unchanged } };
      await this.idempotency.keepWith(tx, answer.status, answer.shown);
      return answer;
    });
    await boundary('upload.committed');
    if (status === 202) this.limits.queued(principal);
    void reply.status(status);
    return shown;
  }
}

async function readJson(body: unknown): Promise<JsonDocumentDto> {
  if (body === null || typeof body !== 'object')
    throw new ApiError('bad_request', 'Send a file as multipart/form-data, or a document as JSON.');
  const checked: unknown = await validation().transform(plainToInstance(JsonDocumentDto, body), {
    type: 'body',
    metatype: JsonDocumentDto,
  });
  return checked as JsonDocumentDto;
}
