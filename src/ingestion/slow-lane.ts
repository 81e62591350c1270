import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { Database } from '../platform/database.js';
import { Sweep } from '../platform/jobs/handlers.js';
import { Ingestion } from './ingest.js';

/**
 * Reads the files that took too long in the fast lane, one at a time and with all the time that is allowed: twenty files
 * that each take a minute hold up one another, and nobody else. What waits here stands in the database; no job is needed.
 */
@Injectable()
export class SlowLane implements OnModuleDestroy {
  private readonly stop = new AbortController();
  private reading: Promise<boolean> | null = null;

  constructor(
    private readonly database: Database,
    private readonly ingestion: Ingestion,
  ) {}

  /** @returns whether anything was read */
  @Sweep(2_000)
  async read(): Promise<boolean> {
    const tried: string[] = [];
    let any = false;
    for (let id = await this.next(tried); id && !this.stop.signal.aborted; id = await this.next(tried)) {
      tried.push(id);
      this.reading = this.ingestion.ingest(id, 'slow', this.stop.signal);
      if (await this.reading) any = true;
    }
    return any;
  }

  /** While there is still a database to say that the file waits again. */
  async onModuleDestroy(): Promise<void> {
    this.stop.abort(new Error('the slow lane is closing'));
    await this.reading;
  }

  /** Tenants take turns: each one's oldest stands before anybody's second. */
  private async next(tried: readonly string[]): Promise<string | null> {
    const row = await this.database.asSystem((tx) =>
      tx.row<{ id: string }>(
        `select id from revision
         where lane = 'slow' and status in ('queued', 'parsing', 'chunking', 'embedding') and lease_expires_at < now()
           and id <> all($1::uuid[])
         order by row_number() over (partition by tenant_id order by id), id limit 1`,
        [tried],
      ),
    );
    return row?.id ?? null;
  }
}
