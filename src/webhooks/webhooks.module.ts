import { Module } from '@nestjs/common';
import { Attempts } from './attempts.js';
import { HooksController, SourcesController } from './cms/cms.controller.js';
import { Inbox } from './cms/inbox.js';
import { InboxJobs } from './cms/inbox.jobs.js';
import { Sources } from './cms/sources.js';
import { Deliveries } from './deliveries.js';
import { DeliveryJobs } from './deliveries.jobs.js';
import { Endpoints } from './endpoints.js';
import { DeliveriesController, EndpointsController } from './webhooks.controller.js';

/** The outside world, both ways: events to endpoints, and what content systems send. */
@Module({
  controllers: [EndpointsController, DeliveriesController, SourcesController, HooksController],
  providers: [Endpoints, Deliveries, Attempts, DeliveryJobs, Sources, Inbox, InboxJobs],
})
export class WebhooksModule {}
