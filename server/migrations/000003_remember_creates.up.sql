-- What makes a repeated create safe: docs/ARCHITECTURE.md tells how.

-- What was asked for under an Idempotency-Key, before it is done. Stored on the shard that owns the key's hash.
CREATE TABLE idempotency_keys (
    key_hash     bytea       PRIMARY KEY,
    request_hash bytea       NOT NULL,
    -- The user that every repetition makes or answers with.
    user_id      uuid        NOT NULL,
    name         text        NOT NULL,
    email        text        NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);

CREATE INDEX idempotency_keys_expires_idx ON idempotency_keys (expires_at);

-- That it is done: written with the user, kept when the user is deleted. It outlives the record above, so that no
-- repetition finds the one without the other.
CREATE TABLE idempotent_creates (
    user_id    uuid        PRIMARY KEY,
    key_hash   bytea       NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX idempotent_creates_expires_idx ON idempotent_creates (expires_at);
