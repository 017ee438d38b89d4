-- The index as it was made by 000001. Writing waits until it is built.

CREATE INDEX users_newest_first_idx ON users (created_at DESC, id DESC);
