-- The users of this shard. Ids are UUIDv7 made by the server, so a row carries the same id wherever it is copied.

CREATE TABLE users (
    id         uuid        PRIMARY KEY,
    -- The server answers 400 before these bounds are met; they hold for everything else that writes here.
    name       text        NOT NULL CONSTRAINT users_name_length CHECK (char_length(name) BETWEEN 1 AND 100),
    email      text        NOT NULL CONSTRAINT users_email_length CHECK (char_length(email) BETWEEN 3 AND 254),
    -- No default: the server's clock sets both, so a user reads the same on the primary, the replica and in the answer.
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- An address belongs to one user however it is written. The server recognises this name in a unique violation.
CREATE UNIQUE INDEX users_email_key ON users (lower(email));

-- The list's order, newest first; id settles users created in the same microsecond.
CREATE INDEX users_newest_first_idx ON users (created_at DESC, id DESC);
