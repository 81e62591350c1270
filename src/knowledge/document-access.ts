import { ChoiceField, TextListField } from '../platform/http/fields.js';
import type { Transaction } from '../platform/database.js';

const grantee = /^(user|group):[^\p{C}]+$/u;

/** Who may see a document, as callers write it. Deny wins over allow. */
export class AccessDto {
  @ChoiceField({ of: ['tenant', 'restricted'], description: 'Everyone in the tenant, or only those in `allow`.' })
  visibility: 'tenant' | 'restricted';

  @TextListField({ optional: true, maxItems: 1000, max: 250, pattern: grantee, example: ['group:hr', 'user:ada'] })
  allow: string[] = [];

  @TextListField({ optional: true, maxItems: 1000, max: 250, pattern: grantee, example: ['user:bob'] })
  deny: string[] = [];
}

export const openToTenant: AccessDto = { visibility: 'tenant', allow: [], deny: [] };

export function sameAccess(a: AccessDto, b: AccessDto): boolean {
  const key = ({ visibility, allow, deny }: AccessDto) =>
    JSON.stringify([visibility, [...new Set(allow)].sort(), [...new Set(deny)].sort()]);
  return key(a) === key(b);
}

/** Replaces who may see a document. It holds for the next query on; no chunk is touched. */
export async function writeAccess(
  tx: Transaction,
  tenantId: string,
  documentId: string,
  access: AccessDto,
): Promise<void> {
  await tx.run('update document set visibility = $2 where id = $1', [documentId, access.visibility]);
  await tx.run('delete from document_grant where document_id = $1', [documentId]);
  await tx.run(
    `insert into document_grant (tenant_id, document_id, principal, effect)
     select distinct $1::uuid, $2::uuid, principal, effect from
       (select unnest($3::text[]), 'allow' union all select unnest($4::text[]), 'deny') g (principal, effect)`,
    [tenantId, documentId, access.allow, access.deny],
  );
}

/** `d`'s access as the JSON of an {@link AccessDto}, for a select list. */
export const accessColumn = `json_build_object('visibility', d.visibility,
  'allow', coalesce((select json_agg(g.principal order by g.principal) from document_grant g where g.document_id = d.id and g.effect = 'allow'), '[]'),
  'deny', coalesce((select json_agg(g.principal order by g.principal) from document_grant g where g.document_id = d.id and g.effect = 'deny'), '[]'))`;
