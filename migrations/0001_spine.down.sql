-- Everything. The two roles stay: they belong to the server, and another database may use them.
drop table cms_event, cms_source, webhook_delivery, webhook_endpoint, message, conversation, chunk_vector, chunk,
  pending_change, parse, revision, document_grant, document, version, knowledge_index, knowledge_base, event_sequence, event,
  idempotency_key, api_key, tenant;
