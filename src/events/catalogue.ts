/** Everything that can be told to the outside: a name never changes its meaning. */
export const publicEvents = [
  'document.queued',
  'document.processing',
  'document.ready',
  'document.failed',
  'document.unpublished',
  'document.deleted',
  'index.version.activated',
  'index.version.rolled_back',
  'index.version.blocked',
  'sync.completed',
  'sync.failed',
  'reindex.completed',
  'reindex.failed',
  'webhook.endpoint.disabled',
  'cms.event.failed',
  'conversation.started',
  'conversation.updated',
  'message.received',
  'message.sent',
  'message.failed',
  'answer.low_confidence',
  'feedback.created',
] as const;

/** What the service's rooms tell only each other. */
export const internalEvents = [
  'revision.staged',
  'revision.requeued',
  'document.unpublish_requested',
  'sync.committed',
  'index.version.built',
  'index.version.judged',
  'knowledge_base.deleted',
  'article.changed',
  'webhook.test',
] as const;

export type PublicEvent = (typeof publicEvents)[number];
export type EventType = PublicEvent | (typeof internalEvents)[number];

export const isPublic = (type: EventType): type is PublicEvent => (publicEvents as readonly string[]).includes(type);
