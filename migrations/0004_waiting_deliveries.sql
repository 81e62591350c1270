-- What waits for an endpoint, so that its backlog can be told from another's single delivery.
create index webhook_delivery_waiting on webhook_delivery (endpoint_id) where status = 'pending';
