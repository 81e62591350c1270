alter table knowledge_index drop column languages;
alter table revision drop column language;
