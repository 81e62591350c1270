alter table document drop column metadata_terms;
