import { defineJob } from '../../platform/jobs/definition.js';

/** Reads a stored hook body and tells the other rooms what it means. */
export const readCmsEvent = defineJob<{ cmsEventId: string }>({
  name: 'read-cms-event',
  queue: 'light',
  attempts: 3,
  key: ({ cmsEventId }) => cmsEventId,
});
