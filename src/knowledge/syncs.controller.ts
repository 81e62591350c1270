import { Body, Controller, Get, HttpCode, Param, Post, Query, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { PageQuery } from '../platform/http/pages.js';
import { CommitSyncDto } from './knowledge.dto.js';
import { Syncs } from './syncs.js';

@ApiTags('syncs')
@Controller('v1/knowledge-bases/:kb/syncs')
export class SyncsController {
  constructor(private readonly syncs: Syncs) {}

  @Post()
  @Needs('documents:write')
  begin(@Caller() principal: Principal, @Param('kb') kb: string, @Req() request: FastifyRequest) {
    return this.syncs.begin(principal, kb, request.id);
  }

  @Get()
  @Needs('documents:write', 'documents:read')
  list(@Caller() principal: Principal, @Param('kb') kb: string, @Query() query: PageQuery) {
    return this.syncs.list(principal, kb, query);
  }

  @Get(':sync')
  @Needs('documents:write', 'documents:read')
  get(@Caller() principal: Principal, @Param('kb') kb: string, @Param('sync') sync: string) {
    return this.syncs.get(principal, kb, sync);
  }

  @Post(':sync/commit')
  @HttpCode(202)
  @Needs('documents:write')
  commit(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Param('sync') sync: string,
    @Body() body: CommitSyncDto,
  ) {
    return this.syncs.commit(principal, kb, sync, body.deleteMissing);
  }

  @Post(':sync/abort')
  @HttpCode(200)
  @Needs('documents:write')
  abort(@Caller() principal: Principal, @Param('kb') kb: string, @Param('sync') sync: string) {
    return this.syncs.abort(principal, kb, sync);
  }
}
