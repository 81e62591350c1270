import { defineJob } from '../platform/jobs/definition.js';

/**
 * One attempt of a delivery. A later attempt is another job, so that it can be announced while this one still runs.
 * What an attempt comes to stands in the row, so the queue itself never repeats one: the sweep does.
 */
export const deliver = defineJob<{ deliveryId: string; attempt: number }>({
  name: 'deliver',
  queue: 'light',
  attempts: 1,
  key: ({ deliveryId, attempt }) => `${deliveryId} ${attempt}`,
});
