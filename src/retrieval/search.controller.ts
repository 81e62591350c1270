import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { ReadsLive } from '../platform/http/idempotency.js';
import { Retrieval } from './retrieval.js';
import { SearchDto } from './search.dto.js';

@ApiTags('search')
@Controller('v1/knowledge-bases/:kb/search')
export class SearchController {
  constructor(private readonly retrieval: Retrieval) {}

  @Post()
  @HttpCode(200)
  @ReadsLive()
  @Needs('search')
  search(@Caller() principal: Principal, @Param('kb') kb: string, @Body() body: SearchDto) {
    return this.retrieval.search(principal, kb, body);
  }
}
