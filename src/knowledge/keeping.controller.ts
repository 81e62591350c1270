import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { PageQuery } from '../platform/http/pages.js';
import { Deletions } from './deletions.js';
import { Storage } from './storage.js';

/** What a base keeps, and what it no longer does. */
@ApiTags('knowledge bases')
@Controller('v1/knowledge-bases/:kb')
export class KeepingController {
  constructor(
    private readonly deletions: Deletions,
    private readonly storage: Storage,
  ) {}

  @Get('deletions')
  @Needs('documents:write', 'documents:read')
  listDeletions(@Caller() principal: Principal, @Param('kb') kb: string, @Query() query: PageQuery) {
    return this.deletions.list(principal, kb, query);
  }

  @Get('deletions/:id')
  @Needs('documents:write', 'documents:read')
  getDeletion(@Caller() principal: Principal, @Param('kb') kb: string, @Param('id') id: string) {
    return this.deletions.get(principal, kb, id);
  }

  @Get('storage')
  @Needs('bases:manage')
  report(@Caller() principal: Principal, @Param('kb') kb: string) {
    return this.storage.report(principal, kb);
  }
}
