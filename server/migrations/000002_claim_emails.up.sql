-- One address, one user, over all shards: docs/ARCHITECTURE.md tells the protocol.
--
-- A server of the version before goes on working beside this schema, but knows no claims: an address that it gives away
-- after this file has run is unique on its shard only. Reading waits while the table is rewritten, once.

ALTER TABLE users
    -- Raised by every change. It is the user's ETag, and what a change of the address is conditional on.
    ADD COLUMN version   bigint NOT NULL DEFAULT 1,
    -- The address as addresses are compared. They are ASCII, and lower() in the C collation changes nothing else, as
    -- the server's own lower-casing does not; another locale's may.
    ADD COLUMN email_key text   NOT NULL GENERATED ALWAYS AS (lower(email COLLATE "C")) STORED;

-- The server recognises this name in a unique violation.
DROP INDEX users_email_key;
CREATE UNIQUE INDEX users_email_key ON users (email_key);

-- Who may carry an address. A claim is stored on the shard that owns the address, wherever its user is.
CREATE TABLE email_claims (
    email_key    text        PRIMARY KEY,
    user_id      uuid        NOT NULL,
    -- New with every claim and re-claim: who releases or takes over a claim names the token that was seen.
    token        uuid        NOT NULL,
    claimed_at   timestamptz NOT NULL,
    -- Set while an address is being given to a user or taken from one. The sweeper settles what stays so for a minute.
    unsettled_at timestamptz
);

CREATE INDEX email_claims_unsettled_idx ON email_claims (unsettled_at) WHERE unsettled_at IS NOT NULL;

-- Users were born on the shard that owns their address, so their claims belong here. An address that was changed since
-- may be another shard's: the sweeper takes those claims home.
INSERT INTO email_claims (email_key, user_id, token, claimed_at, unsettled_at)
SELECT email_key, id, gen_random_uuid(), created_at, CASE WHEN updated_at > created_at THEN created_at END
  FROM users;
