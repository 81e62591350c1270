import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  SetMetadata,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { from, lastValueFrom, type Observable } from 'rxjs';
import { ApiError, invalidField } from '../../errors.js';
import { Database, type TenantScope, type Transaction } from '../database.js';
import { LOGGER, type Logger } from '../logger.js';
import { Sweep } from '../jobs/handlers.js';
import { SecretBox } from '../secrets.js';

/** The caller as the guard left it on the request: a tenant's row is written, so a tenant must be known. */
export interface IdempotentRequest extends FastifyRequest {
  principal?: TenantScope & { readonly caller: string };
}

interface Stored {
  fingerprint: Buffer;
  status: number | null;
  body: Buffer | null;
}

/** The key that the request at hand has claimed, and whether its reply is kept already. */
interface Claim {
  slot: string[];
  kept: boolean;
}

const claimOfRequest = new AsyncLocalStorage<Claim>();

/**
 * One effect for each `Idempotency-Key`, caller and route, for 24 hours. The key is claimed before the work and answered
 * from the stored reply afterwards; a request that failed gives its key back. Replies are sealed: some hold a secret
 * that is shown once.
 */
@Injectable()
export class Idempotency {
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @param content what the request asks for, to tell a repetition from another request under the same key
   * @throws ApiError idempotency_in_progress, idempotency_mismatch
   */
  async once<T>(request: IdempotentRequest, reply: FastifyReply, content: string, work: () => Promise<T>): Promise<T> {
    const { principal } = request;
    const key = request.headers['idempotency-key'];
    if (key === undefined || !principal) return work();
    if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key))
      throw invalidField('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
    const slot = [principal.tenantId, principal.caller, `${request.method} ${request.url.split('?')[0]}`, key];
    const fingerprint = createHash('sha256').update(content).digest();
    const stored = await this.claim(principal, slot, fingerprint);
    if (stored) return this.replay<T>(stored, fingerprint, reply);
    const claim: Claim = { slot, kept: false };
    const result = await claimOfRequest.run(claim, work).catch(async (error: unknown) => {
      // One that is kept took effect, although whoever committed it did not hear so.
      const sql = `delete from idempotency_key where ${bySlot} and status is null`;
      await this.database.as(principal, (tx) => tx.run(sql, slot));
      throw error;
    });
    if (!claim.kept) await this.keep(principal, slot, reply.statusCode, result);
    return result;
  }

  /**
   * In the transaction that makes the effect: its reply is kept if and only if that commits, also when the process dies
   * before it is sent.
   */
  async keepWith(tx: Transaction, status: number, result: unknown): Promise<void> {
    const claim = claimOfRequest.getStore();
    if (!claim) return;
    await this.fill(tx, claim.slot, status, result);
    claim.kept = true;
  }

  /** The work is done: if its reply cannot be kept, the claim stays, so that a repetition does not do it again. */
  private async keep(scope: TenantScope, slot: string[], status: number, result: unknown): Promise<void> {
    try {
      await this.database.as(scope, (tx) => this.fill(tx, slot, status, result));
    } catch (error) {
      this.logger.error({ err: error, route: slot[2] }, 'a reply could not be kept for its Idempotency-Key');
    }
  }

  private async fill(tx: Transaction, slot: string[], status: number, result: unknown): Promise<void> {
    const body = this.secrets.seal(JSON.stringify(result ?? null));
    const sql = `update idempotency_key set status = $5, body = $6, subject = $7 where ${bySlot}`;
    await tx.run(sql, [...slot, status, body, subjectOf(result)]);
  }

  /** Forgets keys after 24 hours, and claims of requests whose process died. */
  @Sweep(600_000)
  async forget(): Promise<void> {
    await this.database.onceAsSystem(
      `delete from idempotency_key where created_at < now() - interval '24 hours' or (status is null and created_at < now() - interval '10 minutes')`,
    );
  }

  private claim(scope: TenantScope, slot: string[], fingerprint: Buffer): Promise<Stored | null> {
    return this.database.as(scope, async (tx) => {
      const claimed = await tx.run(
        `insert into idempotency_key (tenant_id, caller, route, key, fingerprint) values ($1, $2, $3, $4, $5) on conflict do nothing`,
        [...slot, fingerprint],
      );
      return claimed > 0
        ? null
        : tx.row<Stored>(`select fingerprint, status, body from idempotency_key where ${bySlot}`, slot);
    });
  }

  private replay<T>(stored: Stored, fingerprint: Buffer, reply: FastifyReply): T {
    if (!stored.fingerprint.equals(fingerprint)) throw new ApiError('idempotency_mismatch');
    if (stored.status === 410) throw new ApiError('gone', 'What this request made was deleted since.');
    if (stored.status === null || stored.body === null) throw new ApiError('idempotency_in_progress');
    void reply.status(stored.status).header('idempotent-replayed', 'true');
    return JSON.parse(this.secrets.open(stored.body)) as T;
  }
}

/** The shown id of what a reply is about; null: of nothing that has one. */
function subjectOf(result: unknown): string | null {
  const id: unknown = typeof result === 'object' && result !== null && 'id' in result ? result.id : null;
  return typeof id === 'string' ? id : null;
}

/**
 * In the transaction of whoever deletes a thing: stored replies about it are emptied. To repeat the request is still no
 * second effect; it is answered `gone`.
 * @param subject its shown id
 * @returns how many
 */
export function forgetReplies(tx: Transaction, subject: string): Promise<number> {
  return tx.run(`update idempotency_key set status = 410, body = null where subject = $1 and body is not null`, [
    subject,
  ]);
}

const bySlot = 'tenant_id = $1 and caller = $2 and route = $3 and key = $4';

export const isMultipart = (request: FastifyRequest): boolean =>
  request.headers['content-type']?.startsWith('multipart/') === true;

const readsLive = 'lectern:reads-live';

/**
 * Marks a POST that answers from documents: a repetition is asked anew rather than replayed, or a stored answer would
 * outlive the permission it was given under.
 */
export const ReadsLive = () => SetMetadata(readsLive, true);

/** Applies {@link Idempotency} to every JSON POST. Multipart uploads apply it themselves. */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly idempotency: Idempotency,
    private readonly reflector: Reflector,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const request = http.getRequest<IdempotentRequest>();
    const keyed = request.method === 'POST' && request.headers['idempotency-key'] !== undefined;
    const live = this.reflector.get<boolean | undefined>(readsLive, context.getHandler());
    if (!keyed || live || isMultipart(request)) return next.handle();
    const content = JSON.stringify(request.body ?? null);
    return from(
      this.idempotency.once(request, http.getResponse<FastifyReply>(), content, () =>
        lastValueFrom(next.handle(), { defaultValue: undefined }),
      ),
    );
  }
}
