alter table chunk drop column lead;
