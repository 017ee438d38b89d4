-- What `make seed` has stored here, so that it goes on where it was interrupted and never stores a user twice.
-- A row commits together with the users it tells of.
CREATE TABLE seed_chunks (
    seed  bigint  NOT NULL,
    chunk integer NOT NULL,
    -- So many users of the chunk have been looked at, from its first on; those that belong on this shard are stored.
    users integer NOT NULL,
    PRIMARY KEY (seed, chunk)
);
