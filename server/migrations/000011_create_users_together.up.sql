-- create_users creates many users, whose claims belong to this shard as they do, in one transaction. It answers with the ids of those
-- whose addresses had no claim, and with one NULL where the deadline has passed. The rows are in the order of their keys, so that two calls
-- do not wait for each other in a circle. A row that somebody else has locked fails the call soon: then each is created by itself.
CREATE FUNCTION create_users(deadline timestamptz, keys text[], ids uuid[], names text[], emails text[], times timestamptz[])
RETURNS SETOF uuid LANGUAGE plpgsql SET lock_timeout = '50ms' AS $$
BEGIN
    IF clock_timestamp() >= deadline THEN
        RETURN NEXT NULL;
        RETURN;
    END IF;
    RETURN QUERY
        WITH claims AS (
            INSERT INTO email_claims (email_key, user_id, token, claimed_at)
                SELECT key, id, gen_random_uuid(), clock_timestamp() FROM unnest(keys, ids) AS wanted (key, id)
            ON CONFLICT (email_key) DO NOTHING
            RETURNING user_id
        )
        INSERT INTO users (id, name, email, created_at, updated_at)
            SELECT id, name, email, time, time FROM unnest(ids, names, emails, times) AS wanted (id, name, email, time)
             WHERE id IN (SELECT user_id FROM claims)
        RETURNING users.id;
END
$$;
