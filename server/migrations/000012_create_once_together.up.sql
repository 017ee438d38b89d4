-- What create_users does, for creates that are done once, too: not if they were, and noting that they are. Those with an Idempotency-Key
-- have a hash of it and a time until which the note is kept, the others NULL. A server of the version before calls it without either.
DROP FUNCTION create_users;

CREATE FUNCTION create_users(
    deadline timestamptz, keys text[], ids uuid[], names text[], emails text[], times timestamptz[],
    once_hashes bytea[] DEFAULT NULL, once_expires timestamptz[] DEFAULT NULL
) RETURNS SETOF uuid LANGUAGE plpgsql SET lock_timeout = '50ms' AS $$
BEGIN
    IF clock_timestamp() >= deadline THEN
        RETURN NEXT NULL;
        RETURN;
    END IF;
    RETURN QUERY
        WITH wanted AS (
            SELECT * FROM unnest(keys, ids, names, emails, times, once_hashes, once_expires) AS w (key, id, name, email, time, hash, expires)
             WHERE hash IS NULL OR NOT EXISTS (SELECT FROM idempotent_creates AS done WHERE done.user_id = w.id)
        ), claims AS (
            INSERT INTO email_claims (email_key, user_id, token, claimed_at)
                SELECT key, id, gen_random_uuid(), clock_timestamp() FROM wanted
            ON CONFLICT (email_key) DO NOTHING
            RETURNING user_id
        ), notes AS (
            INSERT INTO idempotent_creates (user_id, key_hash, expires_at)
                SELECT id, hash, expires FROM wanted WHERE hash IS NOT NULL AND id IN (SELECT user_id FROM claims)
        )
        INSERT INTO users (id, name, email, created_at, updated_at)
            SELECT id, name, email, time, time FROM wanted WHERE id IN (SELECT user_id FROM claims)
        RETURNING users.id;
END
$$;

-- record_creates keeps what is asked for under many keys, unless something is kept already or the deadline has passed. It answers with the
-- users of those that it has recorded, and until when it keeps them. ttls are in microseconds. The rows are in the order of their hashes,
-- so that two calls do not wait for each other in a circle. A row that somebody else has locked fails the call soon: then each is recorded
-- by itself.
CREATE FUNCTION record_creates(
    deadline timestamptz, hashes bytea[], requests bytea[], ids uuid[], names text[], emails text[], times timestamptz[], ttls bigint[]
) RETURNS TABLE (recorded uuid, expires timestamptz) LANGUAGE plpgsql SET lock_timeout = '50ms' AS $$
BEGIN
    RETURN QUERY
        INSERT INTO idempotency_keys (key_hash, request_hash, user_id, name, email, created_at, expires_at)
            SELECT hash, request, id, name, email, time, clock_timestamp() + ttl * interval '1 microsecond'
              FROM unnest(hashes, requests, ids, names, emails, times, ttls) AS w (hash, request, id, name, email, time, ttl)
             WHERE clock_timestamp() < deadline
        ON CONFLICT (key_hash) DO NOTHING
        RETURNING user_id, expires_at;
END
$$;
