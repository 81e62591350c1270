import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  Patch,
  Post,
  Query,
  Req,
  Res,
  StreamableFile,
} from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { Content } from './content.js';
import { DocumentChanges } from './document-changes.js';
import { Documents } from './documents.js';
import { DocumentDetailsDto, DocumentQuery, NumberedPageQuery, RevisionQuery } from './knowledge.dto.js';

@ApiTags('documents')
@Controller('v1/knowledge-bases/:kb/documents')
export class DocumentsController {
  constructor(
    private readonly documents: Documents,
    private readonly changes: DocumentChanges,
    private readonly content: Content,
  ) {}

  @Get()
  @Needs('documents:read')
  list(@Caller() principal: Principal, @Param('kb') kb: string, @Query() query: DocumentQuery) {
    return this.documents.list(principal, kb, query);
  }

  @Get(':id')
  @Needs('documents:read')
  get(@Caller() principal: Principal, @Param('kb') kb: string, @Param('id') id: string) {
    return this.documents.get(principal, kb, id);
  }

  @Patch(':id')
  @Needs('documents:write')
  patch(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Param('id') id: string,
    @Body() body: DocumentDetailsDto,
  ) {
    return this.changes.patch(principal, kb, id, body);
  }

  @Delete(':id')
  @HttpCode(204)
  @Needs('documents:write')
  async delete(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    await this.changes.delete(principal, kb, id, request.id);
    void reply.header('location', `/v1/knowledge-bases/${kb}/deletions/${id}`);
  }

  @Post(':id/unpublish')
  @HttpCode(202)
  @Needs('documents:write')
  unpublish(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
  ) {
    return this.changes.unpublish(principal, kb, id, request.id);
  }

  @Post(':id/retry')
  @HttpCode(202)
  @Needs('documents:write')
  retry(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
  ) {
    return this.changes.retry(principal, kb, id, request.id);
  }

  @Get(':id/chunks')
  @Needs('documents:read')
  chunks(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Param('id') id: string,
    @Query() query: NumberedPageQuery,
  ) {
    return this.content.chunks(principal, kb, id, query);
  }

  @Get(':id/content')
  @Needs('documents:read')
  async text(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Param('id') id: string,
    @Query() query: RevisionQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    if (query.format === 'text') return this.content.text(principal, kb, id, query.revision);
    const { bytes, filename } = await this.content.original(principal, kb, id, query.revision);
    // Always a download of unnamed type: an uploaded page must never run as one of ours.
    void reply.header('content-security-policy', "default-src 'none'; sandbox");
    const disposition = `attachment; filename*=UTF-8''${encodeURIComponent(filename ?? 'document')}`;
    return new StreamableFile(bytes, { type: 'application/octet-stream', disposition });
  }
}
