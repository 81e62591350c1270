import { Global, Module } from '@nestjs/common';
import { EventsController } from './events.controller.js';
import { Relay } from './relay.js';

@Global()
@Module({ controllers: [EventsController], providers: [Relay], exports: [Relay] })
export class EventsModule {}
