-- The index as it was made by 000002. Writing waits until it is built. On a partitioned table it cannot be: a unique index
-- there has to have the partition key among its columns, and claims have kept the rule anyway.

DO $$
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = 'users'::regclass) = 'r' THEN
        CREATE UNIQUE INDEX users_email_key ON users (email_key);
    END IF;
END
$$;
