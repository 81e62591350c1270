import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Database } from '../platform/database.js';
import { Sweep } from '../platform/jobs/handlers.js';
import { Ingestion } from './ingest.js';

/**
 * Reads the files that take too long for the fast lane, one at a time and with all the time that is allowed: twenty files
 * that each take a minute hold up one another, and nobody else. What waits here stands in the database; no job is needed.
 */
@Injectable()
export class SlowLane implements OnModuleDestroy {
  private readonly stop = new AbortController();
  private reading: Promise<boolean> | null = null;
  private moved: { working: Promise<unknown>; stop: AbortController } | null = null;

  constructor(
    private readonly database: Database,
    private readonly ingestion: Ingestion,
  ) {}

  /**
   * Works on a revision in the fast lane, until it is done or its file goes on in this one.
   * @returns whether the lease was to be had
   */
  async startFast(id: string): Promise<boolean> {
    const stop = new AbortController();
    let leave: (had: boolean) => void;
    const left = new Promise<boolean>((resolve) => (leave = resolve));
    const moves = () => {
      if (this.moved || this.stop.signal.aborted) return false;
      this.moved = { working, stop };
      leave(true);
      return true;
    };
    const working = this.ingestion.ingest(id, { lane: 'fast', stop: stop.signal, moves }).finally(() => {
      if (this.moved?.stop === stop) this.moved = null;
    });
    return Promise.race([working, left]);
  }

  /** @returns whether anything was read */
  @Sweep(2_000)
  async read(): Promise<boolean> {
    const tried: string[] = [];
    let any = false;
    for (let id = await this.next(tried); id && !this.stop.signal.aborted; id = await this.next(tried)) {
      tried.push(id);
      this.reading = this.ingestion.ingest(id, { lane: 'slow', stop: this.stop.signal });
      if (await this.reading) any = true;
    }
    return any;
  }

  /** Waits for a file that goes on here without a worker. @returns whether there was one */
  async finishMoved(): Promise<boolean> {
    const { moved } = this;
    await Promise.allSettled([moved?.working]);
    return moved !== null;
  }

  /** While there is still a database to say that the file waits again. */
  async onModuleDestroy(): Promise<void> {
    const why = new Error('the slow lane is closing');
    this.stop.abort(why);
    this.moved?.stop.abort(why);
    await Promise.allSettled([this.reading, this.moved?.working]);
  }

  /** Tenants take turns: each one's oldest stands before anybody's second. */
  private async next(tried: readonly string[]): Promise<string | null> {
    const [row] = await this.database.onceAsSystem<{ id: string }>(
      `select id from revision
         where lane = 'slow' and status in ('queued', 'parsing', 'chunking', 'embedding') and lease_expires_at < now()
           and id <> all($1::uuid[])
         order by row_number() over (partition by tenant_id order by id), id limit 1`,
      [tried],
    );
    return row?.id ?? null;
  }
}
