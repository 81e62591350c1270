import {
  IsIn,
  IsISO8601,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  MinLength,
  ValidateIf,
  validateSync,
} from 'class-validator';
import { PermanentFailure } from '../../errors.js';
import { wellFormed } from '../../platform/text.js';
import { asUtc } from '../../platform/times.js';

export const actions = ['published', 'updated', 'unpublished', 'deleted'] as const;

const withContent = ({ action }: ArticleEvent) => action === 'published' || action === 'updated';

/** What the generic kind of CMS says of an article. What else it says is not our business, and is left aside. */
export class ArticleEvent {
  /** Its stable name in the CMS; a number is taken as its digits. */
  @IsString()
  @MinLength(1)
  @MaxLength(500)
  @Matches(/^[^\p{C}]+$/u, { message: 'articleId must not contain control characters' })
  articleId: string;

  @IsIn([...actions])
  action: (typeof actions)[number];

  @IsOptional()
  @IsString()
  @MaxLength(1000)
  title?: string | null;

  /** Required where the article is to be readable: an empty one would replace a good one by nothing. */
  @ValidateIf(withContent)
  @IsString()
  @Matches(/\S/, { message: 'content must not be empty' })
  content?: string | null;

  /** It becomes a link that readers click. */
  @IsOptional()
  @IsString()
  @MaxLength(2000)
  @Matches(/^https?:\/\//i, { message: 'url must start with https:// or http://' })
  url?: string | null;

  /** What "late" is measured by. Without a zone it is taken as UTC. */
  @IsISO8601({ strict: true, strictSeparator: true })
  updatedAt: string;
}

const fields = ['articleId', 'action', 'title', 'content', 'url', 'updatedAt'] as const;

/** An article event that can be acted on: texts storable, time in UTC, content only where it counts. */
export interface Article {
  externalId: string;
  action: (typeof actions)[number];
  title: string | null;
  content: string | null;
  url: string | null;
  updatedAt: string;
}

/**
 * Reads a stored hook body.
 * @throws PermanentFailure unreadable_event (not a JSON object) or invalid_event (its message names the bad fields, and
 * never repeats their values)
 */
export function readArticle(body: Buffer): Article {
  const given = parseObject(body);
  const event = new ArticleEvent();
  // One by one: extra fields may be nested deep enough to exhaust the stack of whatever walks them.
  for (const name of fields)
    if (Object.hasOwn(given, name)) (event as unknown as Record<string, unknown>)[name] = given[name];
  if (typeof event.articleId === 'number' && Number.isSafeInteger(event.articleId))
    event.articleId = String(event.articleId);
  const flaws = validateSync(event, { forbidUnknownValues: true, validationError: { target: false, value: false } });
  const updatedAt = asUtc(event.updatedAt);
  const messages = flaws.flatMap(({ constraints }) => Object.values(constraints ?? {}));
  if (flaws.length === 0 && !updatedAt) messages.push('updatedAt must be a date and time');
  if (messages.length > 0 || !updatedAt)
    throw new PermanentFailure('invalid_event', `The event is not valid: ${messages.join('; ')}.`);
  return {
    externalId: event.articleId,
    action: event.action,
    title: event.title ? wellFormed(event.title) : null,
    content: withContent(event) && event.content ? wellFormed(event.content) : null,
    url: event.url ? wellFormed(event.url) : null,
    updatedAt,
  };
}

function parseObject(body: Buffer): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new PermanentFailure('unreadable_event', 'The body of the event is not JSON.', false, { cause: error });
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Record<string, unknown>;
  throw new PermanentFailure('unreadable_event', 'The body of the event is not a JSON object.');
}
