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
import { BlobStore, lockContent, type StoredBlob } from '../platform/blobs.js';
import { boundary } from '../platform/boundary.js';
import { Database } from '../platform/database.js';
import { Idempotency, type IdempotentRequest, isMultipart } from '../platform/http/idempotency.js';
import { validation } from '../platform/http/validation.js';
import { receive } from './multipart.js';
import { JsonDocumentDto, UploadFieldsDto } from './upload.dto.js';
import { UploadLimits } from './upload-limits.js';

/** The way in: bytes to the blob store, then {document, revision, event} in one transaction, then 202. */
@ApiTags('documents')
@ApiExtraModels(JsonDocumentDto, UploadFieldsDto)
@Controller('v1/knowledge-bases/:kb/documents')
export class UploadController {
  constructor(
    private readonly database: Database,
    private readonly blobs: BlobStore,
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
          properties: { file: { type: 'string', format: 'binary' } },
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
    return this.limits.admit(principal, async () => {
      if (!isMultipart(request)) {
        return this.accept(principal, kb, await this.fromJson(principal, body, request.id), reply);
      }
      const wish = await this.fromMultipart(principal, request);
      return this.idempotency.once(request, reply, JSON.stringify({ ...wish, requestId: null }), () =>
        this.accept(principal, kb, wish, reply),
      );
    });
  }

  private async fromMultipart(principal: Principal, request: FastifyRequest): Promise<Submission> {
    const { stored, filename, declaredType, fields } = await receive(request, (content) =>
      this.store(principal, content),
    );
    return { ...fields, content: { ...stored, filename, declaredType }, requestId: request.id };
  }

  private async fromJson(principal: Principal, body: unknown, requestId: string): Promise<Submission> {
    if (body === null || typeof body !== 'object')
      throw new ApiError('bad_request', 'Send a file as multipart/form-data, or a document as JSON.');
    const checked: unknown = await validation().transform(plainToInstance(JsonDocumentDto, body), {
      type: 'body',
      metatype: JsonDocumentDto,
    });
    const { content, contentType, ...fields } = checked as JsonDocumentDto;
    const stored = await this.store(principal, Readable.from([Buffer.from(content, 'utf8')]));
    return { ...fields, content: { ...stored, filename: null, declaredType: contentType }, requestId };
  }

  private store(principal: Principal, content: Readable): Promise<StoredBlob> {
    return this.blobs.put(principal.tenantId, content, this.config.upload.maxBytes);
  }

  private async accept(principal: Principal, kb: string, wish: Submission, reply: FastifyReply) {
    const { document, unchanged, queued } = await this.database.as(principal, async (tx) => {
      const base = await openBase(tx, principal, kb);
      await lockContent(tx, principal.tenantId, wish.content.hash);
      // The same bytes may have been cleared away with a deleted document since they were stored.
      if (!(await this.blobs.has(principal.tenantId, wish.content.hash))) throw new ApiError('unavailable');
      return submit(tx, principal, base, wish);
    });
    await boundary('upload.committed');
    if (queued) this.limits.queued(principal);
    void reply.status(queued ? 202 : 200);
    return { ...showDocument(document), unchanged };
  }
}
