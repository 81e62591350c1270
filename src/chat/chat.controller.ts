import { Body, Controller, HttpCode, Post, Req, Res, StreamableFile } from '@nestjs/common';
import { ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../errors.js';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { BooleanField, ChoiceField, IntegerField, TextField, TextListField } from '../platform/http/fields.js';
import { ReadsLive } from '../platform/http/idempotency.js';
import { Chat, type PreparedChat } from './chat.js';
import { EventStream } from './event-stream.js';

export class ChatDto {
  @TextListField({ minItems: 1, maxItems: 20, max: 60, example: ['kb_…'] })
  knowledgeBases: string[];

  @TextField({ max: 4000, example: 'How many days of annual leave do I get?' })
  message: string;

  @IntegerField({
    optional: true,
    min: 0,
    max: 2_147_483_647,
    description: 'An earlier version of the only knowledge base to look back to; needs the scope versions:look-back.',
  })
  version?: number;

  @TextField({ optional: true, max: 60, description: 'Goes on with a conversation; absent: begins one.' })
  conversationId?: string;

  @TextField({ optional: true, max: 2000, description: 'How this assistant should answer: tone, audience.' })
  instructions?: string;

  @ChoiceField({ optional: true, of: ['text', 'markdown'] })
  output: 'text' | 'markdown' = 'text';

  @BooleanField({
    optional: true,
    description: 'Server-sent events instead of JSON; so does Accept: text/event-stream.',
  })
  stream = false;
}

@ApiTags('chat')
@Controller('v1/chat')
export class ChatController {
  constructor(private readonly chat: Chat) {}

  @Post()
  @HttpCode(200)
  @ReadsLive()
  @Needs('chat')
  @ApiProduces('application/json', 'text/event-stream')
  @ApiResponse({
    status: 200,
    description:
      'The answer; as a stream the events message.start, passages, answer.delta, citation, then message.done or error.',
  })
  async ask(
    @Caller() principal: Principal,
    @Body() body: ChatDto,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const prepared = await this.chat.prepare(principal, body, request.id);
    if (!body.stream && !request.headers.accept?.includes('text/event-stream')) {
      return this.chat.reply(principal, body, prepared, request.id, undefined, leaving(reply));
    }
    const stream = new EventStream(request.id);
    void this.tell(principal, body, prepared, request.id, stream);
    void reply.header('x-accel-buffering', 'no');
    return new StreamableFile(stream.output, { type: 'text/event-stream; charset=utf-8' });
  }

  private async tell(
    principal: Principal,
    body: ChatDto,
    prepared: PreparedChat,
    requestId: string,
    stream: EventStream,
  ): Promise<void> {
    try {
      stream.begin(prepared);
      stream.end(
        await this.chat.reply(
          principal,
          body,
          prepared,
          requestId,
          (text, reset) => stream.delta(text, reset),
          stream.signal,
        ),
      );
    } catch (error) {
      stream.fail(error);
    }
  }
}

/** Aborts when the caller hangs up before the answer is there: a model need not go on for nobody. */
function leaving(reply: FastifyReply): AbortSignal {
  const left = new AbortController();
  reply.raw.once('close', () => {
    // A reason that is the caller's own doing: nothing of ours failed.
    if (!reply.raw.writableFinished) left.abort(new ApiError('bad_request', 'The caller left before the answer.'));
  });
  return left.signal;
}
