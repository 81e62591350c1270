drop table version_change;
