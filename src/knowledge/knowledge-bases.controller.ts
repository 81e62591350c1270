import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { notFound } from '../errors.js';
import { PageQuery } from '../platform/http/pages.js';
import { ActivateDto, ChangeKnowledgeBaseDto, CreateKnowledgeBaseDto, NumberedPageQuery } from './knowledge.dto.js';
import { KnowledgeBases } from './knowledge-bases.js';
import { Versions } from './versions.js';

/** A version's number in a path; anything else is answered like a version that is not there. */
function versionNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw notFound();
  return Number(text);
}

@ApiTags('knowledge bases')
@Controller('v1/knowledge-bases')
export class KnowledgeBasesController {
  constructor(
    private readonly bases: KnowledgeBases,
    private readonly versions: Versions,
  ) {}

  @Post()
  @Needs('bases:manage')
  create(@Caller() principal: Principal, @Body() body: CreateKnowledgeBaseDto) {
    return this.bases.create(principal, { name: body.name, ...body.pipeline });
  }

  @Get()
  @Needs('bases:manage', 'documents:read', 'search', 'chat')
  list(@Caller() principal: Principal, @Query() query: PageQuery) {
    return this.bases.list(principal, query);
  }

  @Get(':kb')
  @Needs('bases:manage', 'documents:read', 'search', 'chat')
  get(@Caller() principal: Principal, @Param('kb') kb: string) {
    return this.bases.get(principal, kb);
  }

  @Patch(':kb')
  @Needs('bases:manage')
  change(@Caller() principal: Principal, @Param('kb') kb: string, @Body() body: ChangeKnowledgeBaseDto) {
    return this.bases.change(principal, kb, body);
  }

  @Delete(':kb')
  @HttpCode(204)
  @Needs('bases:manage')
  async delete(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    await this.bases.delete(principal, kb, request.id);
    void reply.header('location', `/v1/knowledge-bases/${kb}/deletions`);
  }

  @Get(':kb/versions')
  @Needs('versions:manage', 'versions:look-back')
  listVersions(@Caller() principal: Principal, @Param('kb') kb: string, @Query() query: NumberedPageQuery) {
    return this.versions.list(principal, kb, query);
  }

  @Get(':kb/versions/:number')
  @Needs('versions:manage', 'versions:look-back')
  getVersion(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Param('number') number: string,
    @Query() query: PageQuery,
  ) {
    const [one = 0, other, ...more] = number.split('...').map(versionNumber);
    if (more.length > 0) throw notFound();
    return other === undefined
      ? this.versions.get(principal, kb, one)
      : this.versions.compare(principal, kb, [one, other], query);
  }

  @Post(':kb/versions/:number/activate')
  @HttpCode(200)
  @Needs('versions:manage')
  activate(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Param('number') number: string,
    @Body() { force }: ActivateDto,
    @Req() request: FastifyRequest,
  ) {
    return this.versions.activate(principal, kb, versionNumber(number), { force, requestId: request.id });
  }
}
