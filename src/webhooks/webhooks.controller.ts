import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Req } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { PageQuery } from '../platform/http/pages.js';
import { Deliveries } from './deliveries.js';
import { Endpoints, needsWholeTenant } from './endpoints.js';
import { ChangeEndpointDto, CreateEndpointDto, DeliveryQuery } from './webhooks.dto.js';

@ApiTags('webhooks')
@Controller('v1/webhook-endpoints')
@Needs('webhooks:manage')
export class EndpointsController {
  constructor(private readonly endpoints: Endpoints) {}

  @Post()
  @ApiOperation({ summary: 'Have events sent to a URL. The signing secret is in this answer and in no other.' })
  create(@Caller() principal: Principal, @Body() body: CreateEndpointDto) {
    return this.endpoints.create(principal, body);
  }

  @Get()
  list(@Caller() principal: Principal, @Query() query: PageQuery) {
    return this.endpoints.list(principal, query);
  }

  @Get(':id')
  get(@Caller() principal: Principal, @Param('id') id: string) {
    return this.endpoints.get(principal, id);
  }

  @Patch(':id')
  change(@Caller() principal: Principal, @Param('id') id: string, @Body() body: ChangeEndpointDto) {
    return this.endpoints.change(principal, id, body);
  }

  @Delete(':id')
  @HttpCode(204)
  delete(@Caller() principal: Principal, @Param('id') id: string) {
    return this.endpoints.delete(principal, id);
  }

  @Post(':id/test')
  @HttpCode(202)
  @ApiOperation({ summary: 'Send this endpoint an event of type webhook.test.' })
  test(@Caller() principal: Principal, @Param('id') id: string, @Req() request: FastifyRequest) {
    return this.endpoints.test(principal, id, request.id);
  }

  @Post(':id/rotate-secret')
  @HttpCode(200)
  @ApiOperation({ summary: 'A new secret; deliveries carry the signature of the old one, too, for 24 hours.' })
  rotateSecret(@Caller() principal: Principal, @Param('id') id: string) {
    return this.endpoints.rotateSecret(principal, id);
  }
}

@ApiTags('webhooks')
@Controller('v1/webhook-deliveries')
@Needs('webhooks:manage')
export class DeliveriesController {
  constructor(private readonly deliveries: Deliveries) {}

  @Get()
  list(@Caller() principal: Principal, @Query() query: DeliveryQuery) {
    needsWholeTenant(principal);
    return this.deliveries.list(principal, query);
  }

  @Get(':id')
  get(@Caller() principal: Principal, @Param('id') id: string) {
    needsWholeTenant(principal);
    return this.deliveries.get(principal, id);
  }

  @Post(':id/retry')
  @HttpCode(202)
  @ApiOperation({ summary: 'Send a delivery now: the same id and body, whatever became of it before.' })
  retry(@Caller() principal: Principal, @Param('id') id: string) {
    needsWholeTenant(principal);
    return this.deliveries.retry(principal, id);
  }
}
