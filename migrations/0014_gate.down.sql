drop index message_version;
alter table message drop column knowledge_base_id, drop column version, drop column outcome, drop column rating, drop column comment;
revoke select (id, tenant_id, active_version, gate, deleted_at) on knowledge_base from lectern_system;
update sync set status = 'aborted' where status = 'blocked';
alter table sync drop constraint sync_status_check;
alter table sync add constraint sync_status_check
  check (status in ('open', 'committing', 'completed', 'aborted', 'expired'));
revoke select (tenant_id, knowledge_base_id, number, status) on version from lectern_system;
drop index version_building;
alter table version drop column report;
alter table knowledge_base drop column gate;
drop table golden_question;
