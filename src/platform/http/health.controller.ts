import { Controller, Get, Inject, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { CONFIG, type Config } from '../../config.js';
import { BlobStore } from '../blobs.js';
import { Database } from '../database.js';
import { JobQueue } from '../jobs/job-queue.js';
import { ChatModels } from '../models/chat-models.js';
import { Embedder } from '../models/embedder.js';
import { Reranker } from '../models/reranker.js';
import { Public } from './open-route.js';

type Check = { status: 'ok' | 'down'; ms: number };

const limitMs = 2000;

/** Whether the process lives, and whether its parts answer, each within its own time limit. */
@ApiTags('health')
@Controller('health')
export class HealthController {
  constructor(
    private readonly database: Database,
    private readonly queue: JobQueue,
    private readonly blobs: BlobStore,
    private readonly embedder: Embedder,
    private readonly chatModels: ChatModels,
    private readonly reranker: Reranker,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('live')
  @Public()
  live() {
    return { status: 'ok' };
  }

  /**
   * `down`, with 503, is for the database alone: nothing can be answered without it. Without any other part questions
   * are still answered and most uploads taken, so the process is `degraded` and a balancer keeps sending to it.
   */
  @Get('ready')
  @Public()
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    const [database, queue, blobs] = await Promise.all([
      measure(() => this.database.asSystem((tx) => tx.row('select 1'))),
      measure(() => this.queue.check()),
      measure(() => this.blobs.check()),
    ]);
    // Models are not asked here: a check every few seconds would cost money, and their breakers know how they are.
    const models = { embeddings: { status: this.embedder.state }, chat: { status: this.chatModels.state } };
    const rerank = this.reranker.state === 'none' ? {} : { rerank: { status: this.reranker.state } };
    const checks = { database, queue, blobs, ...models, ...rerank };
    const serves = database.status === 'ok';
    const whole = Object.values(checks).every(({ status }) => status !== 'down' && status !== 'open');
    void reply.status(serves ? 200 : 503);
    const status = !serves ? 'down' : whole ? 'ok' : 'degraded';
    return { status, mode: this.config.database.url ? 'external' : 'embedded', checks };
  }
}

async function measure(part: () => Promise<unknown>): Promise<Check> {
  const started = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), limitMs);
  });
  try {
    await Promise.race([part(), late]);
    return { status: 'ok', ms: Math.round(performance.now() - started) };
  } catch {
    return { status: 'down', ms: Math.round(performance.now() - started) };
  } finally {
    clearTimeout(timer);
  }
}
