import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { ApiError } from '../errors.js';
import { Database, type TenantScope } from '../platform/database.js';

interface Count {
  waiting: number;
  countedAt: number;
}

const everyone = '';
// A count is trusted this long, with what was accepted since added to it; one that would refuse somebody, less long.
const trustedMs = 2000;
const doubtedMs = 200;

/**
 * How much may wait: uploads of one tenant that are arriving, its documents that are queued, and those of all tenants.
 * What arrives is counted in this process alone: the limit is there to protect its memory and sockets. What is queued is
 * counted in the database now and then, so several processes may exceed that limit by what they accept in two seconds.
 */
@Injectable()
export class UploadLimits {
  private readonly arriving = new Map<string, number>();
  private readonly counts = new Map<string, Count>();

  constructor(
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Takes one upload in. @throws ApiError too_many_uploads, queue_full, overloaded, before anything is read */
  async admit<T>({ tenantId }: TenantScope, receive: () => Promise<T>): Promise<T> {
    const arriving = this.arriving.get(tenantId) ?? 0;
    if (arriving >= this.config.upload.atOnce) throw new ApiError('too_many_uploads');
    this.arriving.set(tenantId, arriving + 1);
    try {
      if (await this.full(tenantId, this.config.upload.queuedPerTenant)) throw new ApiError('queue_full');
      if (await this.full(everyone, this.config.upload.queued)) throw new ApiError('overloaded');
      return await receive();
    } finally {
      const left = (this.arriving.get(tenantId) ?? 1) - 1;
      if (left > 0) this.arriving.set(tenantId, left);
      else this.arriving.delete(tenantId);
    }
  }

  /** A revision was queued: it counts at once. */
  queued({ tenantId }: TenantScope): void {
    for (const whose of [tenantId, everyone]) {
      const count = this.counts.get(whose);
      if (count) count.waiting++;
    }
  }

  private async full(whose: string, most: number): Promise<boolean> {
    const known = this.counts.get(whose);
    const trusted = known && performance.now() - known.countedAt < (known.waiting < most ? trustedMs : doubtedMs);
    const { waiting } = trusted ? known : await this.count(whose, most);
    return waiting >= most;
  }

  private async count(whose: string, most: number): Promise<Count> {
    const [row] = await this.database.onceAsSystem<{ waiting: number }>(
      `select count(*)::int as waiting from (
           select from revision where status in ('queued', 'parsing', 'chunking', 'embedding')
             ${whose === everyone ? '' : 'and tenant_id = $2'} limit $1) as unfinished`,
      whose === everyone ? [most] : [most, whose],
    );
    const count = { waiting: row?.waiting ?? 0, countedAt: performance.now() };
    if (this.counts.size > 10_000) this.counts.clear();
    this.counts.set(whose, count);
    return count;
  }
}
