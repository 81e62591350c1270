alter table reindex drop column forced;
alter table version drop column judge_tries, drop column came_back;
