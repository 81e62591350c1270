alter table document drop column sent_again_at;
