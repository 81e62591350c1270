drop index revision_slow;
alter table revision drop column lane;
