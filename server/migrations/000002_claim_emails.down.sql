-- Addresses are unique on each shard only, again.

DROP TABLE email_claims;

DROP INDEX IF EXISTS users_email_key;
CREATE UNIQUE INDEX users_email_key ON users (lower(email));

ALTER TABLE users DROP COLUMN email_key, DROP COLUMN version;
