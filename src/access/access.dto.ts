import { IntegerField, TextField, TextListField, TimeField } from '../platform/http/fields.js';
import { type Scope, tenantScopes } from './principal.js';

// A name becomes `user:<name>` or `group:<name>` in grants; control characters would make two look alike.
const plainName = /^[^\p{C}]+$/u;

export class CreateTenantDto {
  @TextField({ max: 200, example: 'acme' })
  name: string;
}

export class CreateApiKeyDto {
  @TextField({ max: 200, example: 'support assistant' })
  name: string;

  @TextListField({ maxItems: 20, max: 50, of: tenantScopes, example: ['search', 'chat'] })
  scopes: Scope[];

  @TextField({ optional: true, max: 200, pattern: plainName, description: 'The person the key acts for.' })
  subject?: string;

  @TextListField({
    optional: true,
    maxItems: 100,
    max: 200,
    pattern: plainName,
    description: 'The groups the key acts with.',
  })
  groups?: string[];

  @TimeField({ optional: true })
  expiresAt?: string;
}

export class RotateApiKeyDto {
  @IntegerField({
    optional: true,
    min: 0,
    max: 604_800,
    default: 0,
    description: 'How long the key before stays good.',
  })
  graceSeconds = 0;
}

export class CreateTokenDto {
  @TextField({ max: 200, pattern: plainName, example: 'ada' })
  subject: string;

  @TextListField({ optional: true, maxItems: 100, max: 200, pattern: plainName, example: ['hr'] })
  groups: string[] = [];

  @TextListField({ maxItems: 20, max: 50, of: tenantScopes, example: ['search', 'chat'] })
  scopes: Scope[];

  @TextListField({ optional: true, maxItems: 100, max: 60, description: 'Only these knowledge bases; absent: all.' })
  knowledgeBases?: string[];

  @IntegerField({ optional: true, min: 10, max: 3600, default: 900 })
  ttlSeconds = 900;
}

/** Somebody with whose eyes is looked. */
export class OnlookerDto {
  @TextField({ optional: true, max: 250, example: 'ada' })
  subject?: string;

  @TextListField({ optional: true, maxItems: 1000, max: 250, example: ['hr'] })
  groups: string[] = [];
}
