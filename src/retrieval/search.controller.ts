import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { ChoiceField, IntegerField, ObjectField, TextField } from '../platform/http/fields.js';
import { ReadsLive } from '../platform/http/idempotency.js';
import { Retrieval, type SearchMode } from './retrieval.js';

export class SearchDto {
  @TextField({ max: 4000, example: 'How many days of parental leave are there?' })
  query: string;

  @IntegerField({ optional: true, min: 1, max: 100, default: 8 })
  topK = 8;

  @ChoiceField({ optional: true, of: ['hybrid', 'semantic', 'keyword'] })
  mode: SearchMode = 'hybrid';

  @ObjectField({ optional: true, example: { all: [{ field: 'metadata.product', in: ['a', 'b'] }] } })
  filter?: Record<string, unknown>;

  @IntegerField({
    optional: true,
    min: 0,
    max: 999_999_999,
    description: 'Look back at this version (scope versions:look-back).',
  })
  version?: number;
}

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
