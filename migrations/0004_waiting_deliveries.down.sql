drop index webhook_delivery_waiting;
