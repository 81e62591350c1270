-- What a verdict rests on: how often a judge found a part of search down, whether a version was gone back to, and whether a
-- person has said that a reindex answers whatever the gate finds.
alter table version add column judge_tries int not null default 0;
-- Its last activation went back to it: who takes a version back does not have the one before it judged by old answers.
alter table version add column came_back boolean not null default false;
alter table reindex add column forced boolean not null default false;
