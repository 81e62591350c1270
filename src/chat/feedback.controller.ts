import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { ChoiceField, TextField } from '../platform/http/fields.js';
import { Conversations, type Feedback } from './conversations.js';

export class FeedbackDto {
  @ChoiceField({ of: ['positive', 'negative'] })
  rating: Feedback['rating'];

  @TextField({ optional: true, max: 2000 })
  comment?: string;
}

@ApiTags('chat')
@Controller('v1/messages')
export class FeedbackController {
  constructor(private readonly conversations: Conversations) {}

  @Post(':message/feedback')
  @HttpCode(200)
  @Needs('chat')
  rate(
    @Caller() principal: Principal,
    @Param('message') message: string,
    @Body() body: FeedbackDto,
    @Req() request: FastifyRequest,
  ) {
    return this.conversations.rate(principal, message, body, request.id);
  }
}
