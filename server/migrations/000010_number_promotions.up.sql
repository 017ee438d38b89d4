-- How often a replica of this shard was promoted. A server of a lower number was the primary before, and nobody connects to it any more:
-- it may hold writes that nobody else has, and lacks those after. `make failover` raises it, as the first write on a new primary.
ALTER TABLE shard_identity ADD COLUMN epoch bigint NOT NULL DEFAULT 1 CHECK (epoch > 0);
