revoke select (document_id) on message_document from lectern_system;
revoke select (index_id) on version from lectern_system;
drop index version_index;
