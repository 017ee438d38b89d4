-- Where a replica was promoted, the number is all that tells the servers apart.
DO $$
BEGIN
    IF EXISTS (SELECT FROM shard_identity WHERE epoch > 1) THEN
        RAISE EXCEPTION 'a replica of this shard was promoted (make failover): without the number, the primary before could be taken for the present one';
    END IF;
END
$$;
ALTER TABLE shard_identity DROP COLUMN epoch;
