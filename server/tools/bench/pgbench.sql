-- What pgbench works on, on every shard: as many users as the shard has, by numbers that pgbench can draw, and room for new ones with
-- their claims. ROLE is the server's.
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;

CREATE TABLE bench.users AS
SELECT row_number() OVER () AS n, id, name, email, created_at, updated_at, version FROM public.users LIMIT 1000000;
ALTER TABLE bench.users ADD PRIMARY KEY (n);

CREATE TABLE bench.created (LIKE public.users INCLUDING ALL);
CREATE TABLE bench.claims (LIKE public.email_claims INCLUDING ALL);
-- What a create comes to, as cheap as it can be: one call, whose plans are kept. Ids rise with time, as the server's do.
CREATE FUNCTION bench.create_user(n bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    address text := 'bench-' || n || '@bench.invalid';
    moment timestamptz := clock_timestamp();
    new_id uuid := (lpad(to_hex((extract(epoch FROM moment) * 1000000)::bigint), 16, '0') || lpad(to_hex(n), 16, '0'))::uuid;
BEGIN
    INSERT INTO bench.claims (email_key, user_id, token, claimed_at) VALUES (address, new_id, gen_random_uuid(), moment)
        ON CONFLICT (email_key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO bench.created (id, name, email, created_at, updated_at) VALUES (new_id, 'Ada Lovelace', address, moment, moment);
    RETURN true;
END
$$;

GRANT USAGE ON SCHEMA bench TO ROLE;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA bench TO ROLE;
