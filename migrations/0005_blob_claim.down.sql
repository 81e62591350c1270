drop table blob_claim;
