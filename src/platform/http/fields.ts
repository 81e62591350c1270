import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNumber,
  IsObject,
  isISO8601,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  MinLength,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { asUtc } from '../times.js';

interface FieldOptions {
  optional?: boolean;
  description?: string;
  example?: unknown;
}

/** One decorator a field: what class-validator demands of it and what the OpenAPI page says of it are the same thing. */
function field(options: FieldOptions, schema: object, ...rules: PropertyDecorator[]): PropertyDecorator {
  const { optional = false, description, example } = options;
  const shown = {
    ...schema,
    required: !optional,
    ...(description ? { description } : {}),
    ...(example !== undefined ? { example } : {}),
  };
  return applyDecorators(
    ApiProperty(shown as ApiPropertyOptions),
    ...(optional ? [ValidateIf((_owner, value) => value !== undefined)] : []),
    ...rules,
  );
}

const withDefault = ({ default: usual }: { default?: unknown }) => (usual === undefined ? {} : { default: usual });

export function TextField(options: FieldOptions & { min?: number; max: number; pattern?: RegExp }): PropertyDecorator {
  const { min = 1, max, pattern } = options;
  const rules = [IsString(), MinLength(min), MaxLength(max), ...(pattern ? [Matches(pattern)] : [])];
  return field(
    options,
    { type: String, minLength: min, maxLength: max, ...(pattern ? { pattern: pattern.source } : {}) },
    ...rules,
  );
}

export function ChoiceField(options: FieldOptions & { of: readonly string[] }): PropertyDecorator {
  return field(options, { enum: [...options.of] }, IsIn([...options.of]));
}

/** Coerces from text, so that it serves for query strings too. */
export function IntegerField(
  options: FieldOptions & { min: number; max: number; default?: number },
): PropertyDecorator {
  const { min, max } = options;
  const schema = { type: 'integer', minimum: min, maximum: max, ...withDefault(options) };
  return field(
    options,
    schema,
    Type(() => Number),
    IsInt(),
    Min(min),
    Max(max),
  );
}

/** Any finite number. */
export function NumberField(options: FieldOptions & { min: number; max: number; default?: number }): PropertyDecorator {
  const { min, max } = options;
  const schema = { type: 'number', minimum: min, maximum: max, ...withDefault(options) };
  return field(options, schema, IsNumber(), Min(min), Max(max));
}

export function BooleanField(options: FieldOptions & { default?: boolean } = {}): PropertyDecorator {
  return field(options, { type: Boolean, ...withDefault(options) }, IsBoolean());
}

// ISO 8601 also knows weeks and bare years, and forms that JavaScript or PostgreSQL cannot read.
const isTime = (value: unknown): boolean =>
  isISO8601(value, { strict: true, strictSeparator: true }) && /^\d{4}-\d{2}-\d{2}/.test(String(value));

/** A moment. What is kept of it is {@link asUtc}, so that nobody stumbles over how it was written later on. */
export function TimeField(options: FieldOptions = {}): PropertyDecorator {
  return field(
    options,
    { type: String, format: 'date-time' },
    Transform(({ value }: { value: unknown }) => (value === undefined ? value : (isTime(value) && asUtc(value)) || '')),
    MinLength(1, { message: '$property must be a date and time in ISO 8601, such as 2026-03-01T10:30:00Z' }),
  );
}

export function TextListField(
  options: FieldOptions & {
    minItems?: number;
    maxItems: number;
    max: number;
    pattern?: RegExp;
    of?: readonly string[];
  },
): PropertyDecorator {
  const { minItems = 0, maxItems, max, pattern, of } = options;
  const each = { each: true };
  const rules = [
    IsArray(),
    ArrayMinSize(minItems),
    ArrayMaxSize(maxItems),
    IsString(each),
    MinLength(1, each),
    MaxLength(max, each),
    ...(pattern ? [Matches(pattern, each)] : []),
    ...(of ? [IsIn([...of], each)] : []),
  ];
  return field(options, of ? { enum: [...of], isArray: true } : { type: [String], maxItems }, ...rules);
}

/** A free JSON object: its own keys are the caller's business, and checked where they are used. */
export function ObjectField(options: FieldOptions = {}): PropertyDecorator {
  return field(options, { type: Object, additionalProperties: true }, IsObject());
}

export function NestedField<T extends object>(of: () => new () => T, options: FieldOptions = {}): PropertyDecorator {
  return field(options, { type: () => of() }, IsObject(), ValidateNested(), Type(of));
}

export function NestedListField<T extends object>(
  of: () => new () => T,
  options: FieldOptions & { minItems: number; maxItems: number },
): PropertyDecorator {
  const { minItems, maxItems } = options;
  const schema = { type: () => of(), isArray: true, minItems, maxItems };
  const rules = [IsArray(), ArrayMinSize(minItems), ArrayMaxSize(maxItems), ValidateNested({ each: true }), Type(of)];
  return field(options, schema, ...rules);
}
