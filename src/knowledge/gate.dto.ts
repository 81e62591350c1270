import { IntegerField, NestedField, NestedListField, NumberField, TextField } from '../platform/http/fields.js';
import { OnlookerDto } from '../access/access.dto.js';

export class RollbackRuleDto {
  @NumberField({
    optional: true,
    min: 0,
    max: 1,
    description: 'Taken back when the share of answers `not_found` rises by more than this over the version before.',
  })
  notFoundRise?: number;

  @NumberField({
    optional: true,
    min: 0,
    max: 1,
    description: 'Taken back when more than this share of the answers is rated negative.',
  })
  negativeRate?: number;

  @IntegerField({ optional: true, min: 1, max: 10_000, default: 20, description: 'From so many answers on.' })
  minAnswers?: number;

  @IntegerField({ optional: true, min: 1, max: 720, default: 24, description: 'For so many hours after it came.' })
  hours?: number;
}

export class GateDto {
  @NumberField({
    optional: true,
    min: 0,
    max: 1,
    default: 0.05,
    description: 'How much less of the golden questions a new version may find: as the mean of 1/rank.',
  })
  maxDrop?: number;

  @IntegerField({
    optional: true,
    min: 0,
    max: 1000,
    description: 'How many questions may lose their passage altogether; absent: any number, within the drop.',
  })
  maxLost?: number;

  @NestedField(() => RollbackRuleDto, { optional: true })
  rollback?: RollbackRuleDto;
}

export class ExpectedDto {
  @TextField({ optional: true, max: 60 })
  documentId?: string;

  @TextField({ optional: true, max: 500 })
  externalId?: string;

  @TextField({ optional: true, max: 1000, description: 'Words that the passage holds, as they stand in the text.' })
  passage?: string;
}

export class GoldenQuestionDto {
  @TextField({ max: 4000, example: 'How many days of annual leave do I get?' })
  query: string;

  @NestedListField(() => ExpectedDto, { minItems: 1, maxItems: 20, description: 'Any of these is what must be found.' })
  expected: ExpectedDto[];

  @NestedField(() => OnlookerDto, { optional: true })
  principal?: OnlookerDto;
}
