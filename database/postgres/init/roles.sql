-- Makes the database and the roles of one shard. Run by psql as the superuser on a primary's first start, in both runtimes (Docker's
-- entrypoint runs /docker-entrypoint-initdb.d/*.sql); may be run again at any time, and then sets the passwords anew.
-- Reads from the environment: DB_NAME (the shard's own, messenger_0), DB_USER, DB_OWNER, DB_PASSWORD, DB_OWNER_PASSWORD, DB_REPLICATION_PASSWORD.
\set ON_ERROR_STOP on
\set db `printf %s "${DB_NAME:-messenger}"`
\set api `printf %s "${DB_USER:-messenger_api}"`
\set owner `printf %s "${DB_OWNER:-messenger_owner}"`
\set replication messenger_replication
\set api_password `printf %s "${DB_PASSWORD:?is not set}"`
\set owner_password `printf %s "${DB_OWNER_PASSWORD:?is not set}"`
\set replication_password `printf %s "${DB_REPLICATION_PASSWORD:?is not set}"`

-- Passwords stay out of the log, also when a statement fails.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;

SELECT format('CREATE ROLE %I', r) FROM unnest(ARRAY[:'api', :'owner', :'replication']) AS r
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) \gexec

-- The owner of the schema: migrations log in as it, the server never does.
ALTER ROLE :"owner" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
-- The server: owns nothing. A statement ends before the request does (REQUEST_TIMEOUT, 5 s).
ALTER ROLE :"api" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'api_password';
ALTER ROLE :"api" SET statement_timeout = '4s';
ALTER ROLE :"api" SET lock_timeout = '3s';
ALTER ROLE :"api" SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE :"replication" LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'replication_password';

SELECT format('CREATE DATABASE %I OWNER %I', :'db', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'db') \gexec
REVOKE ALL ON DATABASE :"db" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"db" TO :"api";

\connect :"db"
SET log_statement = 'none';
ALTER SCHEMA public OWNER TO :"owner";
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"api";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"api";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT USAGE ON SEQUENCES TO :"api";
