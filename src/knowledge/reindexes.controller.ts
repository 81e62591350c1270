import { Body, Controller, Get, HttpCode, Param, Post, Query, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { PageQuery } from '../platform/http/pages.js';
import { ReindexDto } from './knowledge.dto.js';
import { Reindexes } from './reindexes.js';

@ApiTags('versions')
@Controller('v1/knowledge-bases/:kb')
export class ReindexesController {
  constructor(private readonly reindexes: Reindexes) {}

  @Post('reindex')
  @HttpCode(202)
  @Needs('versions:manage')
  begin(
    @Caller() principal: Principal,
    @Param('kb') kb: string,
    @Body() body: ReindexDto,
    @Req() request: FastifyRequest,
  ) {
    return this.reindexes.begin(principal, kb, body.pipeline, request.id);
  }

  @Get('reindexes')
  @Needs('versions:manage', 'versions:look-back')
  list(@Caller() principal: Principal, @Param('kb') kb: string, @Query() query: PageQuery) {
    return this.reindexes.list(principal, kb, query);
  }

  @Get('reindexes/:reindex')
  @Needs('versions:manage', 'versions:look-back')
  get(@Caller() principal: Principal, @Param('kb') kb: string, @Param('reindex') reindex: string) {
    return this.reindexes.get(principal, kb, reindex);
  }

  @Post('reindexes/:reindex/pause')
  @HttpCode(200)
  @Needs('versions:manage')
  pause(@Caller() principal: Principal, @Param('kb') kb: string, @Param('reindex') reindex: string) {
    return this.reindexes.pause(principal, kb, reindex);
  }

  @Post('reindexes/:reindex/resume')
  @HttpCode(200)
  @Needs('versions:manage')
  resume(@Caller() principal: Principal, @Param('kb') kb: string, @Param('reindex') reindex: string) {
    return this.reindexes.resume(principal, kb, reindex);
  }

  @Post('reindexes/:reindex/cancel')
  @HttpCode(200)
  @Needs('versions:manage')
  cancel(@Caller() principal: Principal, @Param('kb') kb: string, @Param('reindex') reindex: string) {
    return this.reindexes.cancel(principal, kb, reindex);
  }
}
