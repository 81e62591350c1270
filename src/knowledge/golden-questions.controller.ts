import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { PageQuery } from '../platform/http/pages.js';
import { GoldenQuestionDto } from './gate.dto.js';
import { GoldenQuestions } from './golden-questions.js';

@ApiTags('versions')
@Controller('v1/knowledge-bases/:kb/golden-questions')
export class GoldenQuestionsController {
  constructor(private readonly questions: GoldenQuestions) {}

  @Post()
  @Needs('versions:manage')
  add(@Caller() principal: Principal, @Param('kb') kb: string, @Body() body: GoldenQuestionDto) {
    return this.questions.add(principal, kb, body);
  }

  @Get()
  @Needs('versions:manage')
  list(@Caller() principal: Principal, @Param('kb') kb: string, @Query() query: PageQuery) {
    return this.questions.list(principal, kb, query);
  }

  @Get(':question')
  @Needs('versions:manage')
  get(@Caller() principal: Principal, @Param('kb') kb: string, @Param('question') question: string) {
    return this.questions.get(principal, kb, question);
  }

  @Delete(':question')
  @HttpCode(204)
  @Needs('versions:manage')
  remove(@Caller() principal: Principal, @Param('kb') kb: string, @Param('question') question: string) {
    return this.questions.remove(principal, kb, question);
  }
}
