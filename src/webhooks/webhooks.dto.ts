import { ArrayNotEmpty } from 'class-validator';
import { BooleanField, ChoiceField, TextField, TextListField } from '../platform/http/fields.js';
import { PageQuery } from '../platform/http/pages.js';
import { eventPatterns } from './event-patterns.js';

export const deliveryStatuses = ['pending', 'delivered', 'failed'] as const;

export type DeliveryStatus = (typeof deliveryStatuses)[number];

const events = {
  maxItems: 50,
  max: 100,
  of: eventPatterns,
  description: 'What to send: an event by name, a family such as "document.*", or "*".',
  example: ['document.*'],
};

export class CreateEndpointDto {
  @TextField({ max: 2000, example: 'https://example.com/lectern', description: 'A public https address.' })
  url: string;

  @TextListField(events)
  @ArrayNotEmpty()
  events: string[];
}

export class ChangeEndpointDto {
  @TextField({ optional: true, max: 2000, description: 'Also what still waits is sent here.' })
  url?: string;

  @TextListField({ ...events, optional: true })
  @ArrayNotEmpty()
  events?: string[];

  @BooleanField({ optional: true, description: 'false: nothing is sent; true: takes up again after it was disabled.' })
  enabled?: boolean;
}

export class DeliveryQuery extends PageQuery {
  @TextField({ optional: true, max: 60, description: 'Only deliveries to this endpoint.' })
  endpointId?: string;

  @ChoiceField({ optional: true, of: deliveryStatuses })
  status?: DeliveryStatus;
}
