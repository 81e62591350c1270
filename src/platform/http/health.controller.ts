import { Controller, Get, Inject, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { CONFIG, type Config } from '../../config.js';
import { BlobStore } from '../blobs.js';
import { Database } from '../database.js';
import { JobQueue } from '../jobs/job-queue.js';
import { ChatModels } from '../models/chat-models.js';
import { Embedder } from '../models/embedder.js';
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
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('live')
  @Public()
  live() {
    return { status: 'ok' };
  }

  @Get('ready')
  @Public()
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    const [database, queue, blobs] = await Promise.all([
      measure(() => this.database.asSystem((tx) => tx.row('select 1'))),
      measure(() => this.queue.check()),
      measure(() => this.blobs.check()),
    ]);
    // Models are not asked here: a check every few seconds would cost money, and answers degrade without them anyway.
    const checks = {
      database,
      queue,
      blobs,
      embeddings: { status: this.embedder.state },
      chat: { status: this.chatModels.state },
    };
    const ready = [database, queue, blobs].every(({ status }) => status === 'ok');
    void reply.status(ready ? 200 : 503);
    return { status: ready ? 'ok' : 'unavailable', mode: this.config.database.url ? 'external' : 'embedded', checks };
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
