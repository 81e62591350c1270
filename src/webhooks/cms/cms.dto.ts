import { ChoiceField, TextField } from '../../platform/http/fields.js';

export class CreateSourceDto {
  @TextField({ max: 60, example: 'kb_019b0000-0000-7000-8000-000000000000' })
  knowledgeBaseId: string;

  @ChoiceField({ of: ['generic'], optional: true, description: 'How its hooks are written and signed.' })
  kind = 'generic' as const;
}
