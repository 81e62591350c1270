import { isUtf8 } from 'node:buffer';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Req } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Caller, Needs } from '../../access/access.guard.js';
import type { Principal } from '../../access/principal.js';
import { ApiError } from '../../errors.js';
import { Public } from '../../platform/http/open-route.js';
import { PageQuery } from '../../platform/http/pages.js';
import { CreateSourceDto } from './cms.dto.js';
import { Inbox } from './inbox.js';
import { Sources } from './sources.js';

@ApiTags('cms')
@Controller('v1/cms-sources')
@Needs('webhooks:manage')
export class SourcesController {
  constructor(private readonly sources: Sources) {}

  @Post()
  @ApiOperation({ summary: 'Let a CMS feed a knowledge base. The secret is in this answer and in no other.' })
  create(@Caller() principal: Principal, @Body() body: CreateSourceDto) {
    return this.sources.create(principal, body);
  }

  @Get()
  list(@Caller() principal: Principal, @Query() query: PageQuery) {
    return this.sources.list(principal, query);
  }

  @Delete(':id')
  @HttpCode(204)
  delete(@Caller() principal: Principal, @Param('id') id: string) {
    return this.sources.delete(principal, id);
  }
}

@ApiTags('cms')
@Controller('v1/hooks')
export class HooksController {
  constructor(private readonly inbox: Inbox) {}

  @Post(':sourceId')
  @HttpCode(202)
  @Public()
  @ApiOperation({
    summary: 'Where a CMS says that an article changed',
    description:
      'Signed over the raw bytes, either as `X-Webhook-Signature: <hex HMAC-SHA256>` (a `sha256=` prefix is accepted; ' +
      'the key is the text of the secret exactly as it was shown, `whsec_` included) or as Standard Webhooks ' +
      '(`webhook-id`, `webhook-timestamp`, `webhook-signature`; the key is the base64 after `whsec_`, decoded).',
  })
  @ApiBody({
    schema: {
      type: 'object',
      required: ['articleId', 'action', 'updatedAt'],
      properties: {
        articleId: { type: 'string', maxLength: 500 },
        action: { enum: ['published', 'updated', 'unpublished', 'deleted'] },
        title: { type: 'string', maxLength: 1000 },
        content: { type: 'string', description: 'Required for published and updated.' },
        url: { type: 'string', maxLength: 2000 },
        updatedAt: { type: 'string', format: 'date-time' },
      },
    },
  })
  async receive(@Param('sourceId') sourceId: string, @Req() request: FastifyRequest) {
    if (!/^application\/json\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')) {
      throw new ApiError('unsupported_type', 'A hook carries application/json.');
    }
    // The platform leaves the bodies of this route as the bytes that came; an empty one is absent.
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    // Standard Webhooks sign text, and all invalid bytes become the same text: such a body could be another one's twin.
    if (!isUtf8(body)) throw new ApiError('bad_request', 'The body is not UTF-8.');
    const eventId = await this.inbox.receive(sourceId, request.raw.rawHeaders, body, request.id);
    return { received: true, eventId };
  }
}
