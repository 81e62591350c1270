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

/** A version to be taken back, and the one to go back to. */
interface Verdict {
  active: number;
  parent: number;
  breach: Breach;
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
    const bases = await this.database.onceAsSystem<Watched>(
      `select id, tenant_id as "tenantId" from knowledge_base
         where deleted_at is null and gate->'rollback' is not null and active_version > 0 order by id`,
    );
    for (const base of bases) {
      try {
        await this.watch(base);
      } catch (error) {
        this.logger.warn({ err: error, base: base.id }, 'a version could not be watched; it is looked at again');
      }
    }
  }

  /** Looks without a lock, since there may be many answers, and again under it before anything is done. */
  private async watch(base: Watched): Promise<void> {
    if (await this.database.snapshot(base, (tx) => verdictOn(tx, base.id)))
      await this.database.as(base, (tx) => this.takeBack(tx, base));
  }

  private async takeBack(tx: Transaction, base: Watched): Promise<void> {
    const locked = await lockBase(tx, base.id);
    const verdict = locked && (await verdictOn(tx, base.id));
    if (!verdict) return;
    const { active, parent, breach } = verdict;
    await tx.run(
      `update version set report = coalesce(report, '{}') || jsonb_build_object('rolledBack', $3::jsonb)
       where knowledge_base_id = $1 and number = $2`,
      [base.id, active, JSON.stringify({ ...breach, at: new Date().toISOString() })],
    );
    await moveTo(tx, base, locked, parent, { because: { ...breach } });
    this.logger.warn({ base: base.id, from: active, to: parent, ...breach }, 'a version was taken back');
  }
}

/** @returns null when the version that answers may stay, or nobody has asked for it to be watched */
async function verdictOn(tx: Transaction, baseId: string): Promise<Verdict | null> {
  const base = await tx.row<{ active: number; gate: GateWish }>(
    'select active_version as active, gate from knowledge_base where id = $1',
    [baseId],
  );
  const rule = base && gateOf(base.gate).rollback;
  if (!rule) return null;
  const { active } = base;
  const parent = await youngParent(tx, baseId, active, rule);
  if (parent === null) return null;
  const now = await recordOf(tx, baseId, active, 'since it came');
  const breach = breachOf(rule, await recordOf(tx, baseId, parent, 'ever'), now);
  return breach && { active, parent, breach };
}

/**
 * The version before the active one, if that came a short while ago and the other can answer again. One that was gone back
 * to did not come: to go on from it would undo one version after the other.
 */
async function youngParent(
  tx: Transaction,
  baseId: string,
  active: number,
  { hours }: RollbackRule,
): Promise<number | null> {
  const row = await tx.row<{ number: number }>(
    `select p.number from version v join version p on p.knowledge_base_id = v.knowledge_base_id and p.number = v.parent
     where v.knowledge_base_id = $1 and v.number = $2 and p.status = 'ready' and p.number > 0
       and not v.came_back and v.activated_at > now() - make_interval(hours => $3)`,
    [baseId, active, hours],
  );
  return row?.number ?? null;
}

/** @param when `since it came`: what was answered before it was last activated is known, and was no reason for a person */
async function recordOf(
  tx: Transaction,
  baseId: string,
  version: number,
  when: 'ever' | 'since it came',
): Promise<Experience> {
  const row = await tx.row<Experience>(
    `select count(*)::int as answers,
       coalesce(avg((outcome = 'not_found')::int), 0)::float8 as "notFound",
       coalesce(avg((rating is not distinct from 'negative')::int), 0)::float8 as negative
     from message where knowledge_base_id = $1 and version = $2
       and ($3 or created_at >= (select activated_at from version where knowledge_base_id = $1 and number = $2))`,
    [baseId, version, when === 'ever'],
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
