import { Inject, Injectable } from '@nestjs/common';
import { type Gate, gateOf, type GateWish, type RollbackRule } from '../knowledge/gate.js';
import { lockBase, moveTo } from '../knowledge/next-version.js';
import { Database, type TenantScope, type Transaction } from '../platform/database.js';
import { Sweep } from '../platform/jobs/handlers.js';
import { LOGGER, type Logger } from '../platform/logger.js';

interface Watched extends TenantScope {
  id: string;
}

/** What came of the answers that were made from a version, as shares of them. */
interface Experience {
  answers: number;
  notFound: number;
  negative: number;
}

/** Why a version is taken back. */
interface Breach extends Experience {
  reason: 'not_found_rise' | 'negative_rate';
  before: number;
}

/** Takes back a version by itself whose answers turn out worse than those before it, where a base asks for that. */
@Injectable()
export class Watch {
  constructor(
    private readonly database: Database,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  @Sweep(20_000)
  async look(): Promise<void> {
    const bases = await this.database.asSystem((tx) =>
      tx.rows<Watched>(
        `select id, tenant_id as "tenantId" from knowledge_base
         where deleted_at is null and gate->'rollback' is not null and active_version > 0`,
      ),
    );
    for (const base of bases) await this.database.as(base, (tx) => this.judge(tx, base));
  }

  private async judge(tx: Transaction, base: Watched): Promise<void> {
    const locked = await lockBase(tx, base.id);
    const found = await tx.row<{ gate: GateWish }>('select gate from knowledge_base where id = $1', [base.id]);
    const rule = found && gateOf(found.gate).rollback;
    if (!locked || !rule) return;
    const parent = await youngParent(tx, base.id, locked.active_version, rule);
    if (parent === null) return;
    const now = await recordOf(tx, base.id, locked.active_version);
    const breach = breachOf(rule, await recordOf(tx, base.id, parent), now);
    if (!breach) return;
    await tx.run(
      `update version set report = coalesce(report, '{}') || jsonb_build_object('rolledBack', $3::jsonb)
       where knowledge_base_id = $1 and number = $2`,
      [base.id, locked.active_version, JSON.stringify({ ...breach, at: new Date().toISOString() })],
    );
    await moveTo(tx, base, locked, parent, { because: { ...breach } });
    this.logger.warn({ base: base.id, from: locked.active_version, to: parent, ...breach }, 'a version was taken back');
  }
}

/** The version before the active one, if that came a short while ago and the other can answer again. */
async function youngParent(
  tx: Transaction,
  baseId: string,
  active: number,
  { hours }: RollbackRule,
): Promise<number | null> {
  const row = await tx.row<{ number: number }>(
    `select p.number from version v join version p on p.knowledge_base_id = v.knowledge_base_id and p.number = v.parent
     where v.knowledge_base_id = $1 and v.number = $2 and p.status = 'ready' and p.number > 0
       and v.activated_at > now() - make_interval(hours => $3)`,
    [baseId, active, hours],
  );
  return row?.number ?? null;
}

async function recordOf(tx: Transaction, baseId: string, version: number): Promise<Experience> {
  const row = await tx.row<Experience>(
    `select count(*)::int as answers,
       coalesce(avg((outcome = 'not_found')::int), 0)::float8 as "notFound",
       coalesce(avg((rating is not distinct from 'negative')::int), 0)::float8 as negative
     from message where knowledge_base_id = $1 and version = $2`,
    [baseId, version],
  );
  return row ?? { answers: 0, notFound: 0, negative: 0 };
}

/** Few answers say little, on either side: what the share was before is known from as many. */
function breachOf(rule: NonNullable<Gate['rollback']>, before: Experience, now: Experience): Breach | null {
  if (now.answers < rule.minAnswers) return null;
  if (rule.negativeRate !== undefined && now.negative > rule.negativeRate)
    return { ...now, reason: 'negative_rate', before: before.negative };
  const known = before.answers >= rule.minAnswers;
  if (rule.notFoundRise !== undefined && known && now.notFound - before.notFound > rule.notFoundRise)
    return { ...now, reason: 'not_found_rise', before: before.notFound };
  return null;
}
