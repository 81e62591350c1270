import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ApiError } from '../errors.js';
import { PageQuery } from '../platform/http/pages.js';
import { readId, showId } from '../platform/ids.js';
import { CreateApiKeyDto, CreateTenantDto, CreateTokenDto, RotateApiKeyDto } from './access.dto.js';
import { Caller, Needs } from './access.guard.js';
import { ApiKeys } from './api-keys.js';
import type { Principal } from './principal.js';
import { Tenants } from './tenants.js';
import { Tokens } from './tokens.js';

@ApiTags('access')
@Controller('v1')
export class AccessController {
  constructor(
    private readonly tenants: Tenants,
    private readonly keys: ApiKeys,
    private readonly tokens: Tokens,
  ) {}

  @Post('tenants')
  @Needs('admin')
  async createTenant(@Body() body: CreateTenantDto) {
    const tenant = await this.tenants.create(body.name);
    return { ...tenant, id: showId('ten', tenant.id) };
  }

  @Post('api-keys')
  @Needs('keys:manage')
  createKey(@Caller() principal: Principal, @Body() body: CreateApiKeyDto) {
    return this.keys.create(principal, body);
  }

  @Get('api-keys')
  @Needs('keys:manage')
  listKeys(@Caller() principal: Principal, @Query() query: PageQuery) {
    return this.keys.list(principal, query);
  }

  @Delete('api-keys/:id')
  @HttpCode(204)
  @Needs('keys:manage')
  revokeKey(@Caller() principal: Principal, @Param('id') id: string) {
    return this.keys.revoke(principal, id);
  }

  @Post('api-keys/:id/rotate')
  @HttpCode(200)
  @Needs('keys:manage')
  rotateKey(@Caller() principal: Principal, @Param('id') id: string, @Body() body: RotateApiKeyDto) {
    return this.keys.rotate(principal, id, body.graceSeconds);
  }

  @Post('tokens')
  @Needs('tokens:issue')
  async createToken(@Caller() principal: Principal, @Body() body: CreateTokenDto) {
    const beyond = body.scopes.filter((scope) => !principal.scopes.has(scope));
    if (beyond.length > 0)
      throw new ApiError('forbidden', `A token cannot carry what its issuer does not have: ${beyond.join(', ')}.`);
    const wished = body.knowledgeBases?.map((id) => readId('kb', id)) ?? null;
    return this.tokens.issue(principal, {
      subject: body.subject,
      groups: body.groups,
      scopes: body.scopes,
      knowledgeBases: narrowest(principal.knowledgeBases, wished),
      ttlSeconds: body.ttlSeconds,
    });
  }
}

/** A token made with a token may name fewer knowledge bases than its issuer, never more. */
function narrowest(own: readonly string[] | null, wished: string[] | null): string[] | null {
  if (own === null) return wished;
  return wished === null ? [...own] : wished.filter((id) => own.includes(id));
}
