ALTER TABLE shard_identity DROP COLUMN epoch;
