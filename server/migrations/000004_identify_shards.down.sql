DROP TABLE shard_identity;
