import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  SetMetadata,
  applyDecorators,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiBearerAuth, ApiResponse } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../errors.js';
import { accessRule } from '../platform/http/open-route.js';
import { Authenticator } from './authenticate.js';
import type { Principal, Scope } from './principal.js';

interface Guarded extends FastifyRequest {
  principal?: Principal;
}

/** Opens a route to callers that carry one of these scopes. A route without this or `Public` answers nobody. */
export function Needs(...scopes: [Scope, ...Scope[]]) {
  return applyDecorators(
    SetMetadata(accessRule, scopes),
    ApiBearerAuth(),
    ApiResponse({ status: 401, description: 'unauthenticated' }),
    ApiResponse({ status: 403, description: `forbidden: needs ${scopes.join(' or ')}` }),
  );
}

/** The Principal of the request, made by the guard. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<Guarded>();
  if (!principal) throw new ApiError('unauthenticated');
  return principal;
});

/** The global guard: deny by default. */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly authenticator: Authenticator,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const allowed = this.reflector.getAllAndOverride<readonly Scope[] | 'public' | undefined>(accessRule, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (allowed === 'public') return true;
    const request = context.switchToHttp().getRequest<Guarded>();
    const tenant = request.headers['x-tenant-id'];
    const principal = await this.authenticator.principal(
      request.headers.authorization,
      typeof tenant === 'string' ? tenant : undefined,
    );
    if (!allowed?.some((scope) => principal.scopes.has(scope))) throw new ApiError('forbidden');
    request.principal = principal;
    return true;
  }
}
