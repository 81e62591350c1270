alter table revision drop column sync_id;
drop table sync_document, sync;
