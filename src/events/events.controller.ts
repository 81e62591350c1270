import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Caller, Needs } from '../access/access.guard.js';
import type { Principal } from '../access/principal.js';
import { ApiError } from '../errors.js';
import { Database } from '../platform/database.js';
import { PageQuery, page, startBelow } from '../platform/http/pages.js';
import { showId } from '../platform/ids.js';
import { type PublicEvent, publicEvents } from './catalogue.js';

interface EventRow {
  id: string;
  type: PublicEvent;
  sequence: string | null;
  data: Record<string, unknown>;
  request_id: string | null;
  created_at: Date;
}

/** What happened in the tenant, newest first: the same events that endpoints are sent. */
@ApiTags('events')
@Controller('v1/events')
export class EventsController {
  constructor(private readonly database: Database) {}

  @Get()
  @Needs('webhooks:manage')
  async list(@Caller() principal: Principal, @Query() query: PageQuery) {
    // The list tells of every base of the tenant: not for a caller that may name only some.
    if (principal.knowledgeBases !== null) throw new ApiError('forbidden');
    const rows = await this.database.as(principal, (tx) =>
      tx.rows<EventRow>(
        `select id, type, sequence, data, request_id, created_at from event
         where tenant_id = $1 and type = any($2) and id < $3 order by id desc limit $4`,
        [principal.tenantId, publicEvents, startBelow(query), query.limit + 1],
      ),
    );
    return page(rows, query, (row) => ({
      id: showId('evt', row.id),
      type: row.type,
      timestamp: row.created_at,
      requestId: row.request_id,
      data: { ...row.data, ...(row.sequence === null ? {} : { sequence: Number(row.sequence) }) },
    }));
  }
}
