package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// connectTimeout bounds one attempt to reach a server of this machine.
const connectTimeout = 3 * time.Second

// initPrimary makes a primary's data folder, once. initdb works in a folder
// beside it that is renamed when complete, so an interrupted run leaves nothing
// that could be taken for a database.
func (c *cluster) initPrimary(ctx context.Context, i instance) error {
	dir := c.dataDir(i)
	if _, err := os.Stat(dir); err == nil {
		return checkMajor(dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := c.account.folder(partial); err != nil {
		return err
	}
	password := c.path("conf", i.name+".password")
	if err := c.account.write(password, []byte(c.stored(c.env["POSTGRES_PASSWORD"])+"\n")); err != nil {
		return err
	}
	defer os.Remove(password)
	cmd := c.account.as(exec.CommandContext(ctx, filepath.Join(c.postgres, "initdb"),
		"--pgdata", partial, "--username", "postgres", "--pwfile", password, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--locale-provider", "icu", "--icu-locale", "und", "--data-checksums"))
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: initdb: %w: %s", i.name, err, lastLine(said))
	}
	return os.Rename(partial, dir)
}

func checkMajor(dir string) error {
	major, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("%s is no PostgreSQL data folder: %w", dir, err)
	}
	if got := strings.TrimSpace(string(major)); got != postgresMajor {
		return fmt.Errorf("%s was made by PostgreSQL %s, this project needs %s: upgrade it with pg_upgrade, or remove it with `make down-clean`", dir, got, postgresMajor)
	}
	return nil
}

// systemIdentifier reads which database cluster a data folder holds. It is the
// first field of pg_control, in the machine's byte order (PostgreSQL's
// src/include/catalog/pg_control.h); every platform we fetch for is
// little-endian.
func systemIdentifier(dir string) (uint64, error) {
	text, err := readControl(dir)
	if err != nil {
		return 0, fmt.Errorf("read the control file: %w", err)
	}
	return binary.NativeEndian.Uint64(text), nil
}

const (
	superuser  = "postgres"
	socketPort = 5432 // of every server in a container
)

// connect opens one connection as the superuser, to the database of the same name.
func (c *cluster) connect(ctx context.Context, addr string) (*pgx.Conn, error) {
	return c.connectAs(ctx, addr, "postgres", superuser, c.env["POSTGRES_PASSWORD"])
}

func (c *cluster) connectAs(ctx context.Context, addr, database, user, password string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig((&url.URL{
		Scheme: "postgres", Host: addr, Path: database, User: url.UserPassword(user, password),
		RawQuery: "sslmode=disable&application_name=cluster",
	}).String())
	if err != nil {
		return nil, err
	}
	if socket, there := c.sockets[addr]; there && user == superuser {
		config.Host, config.Port = socket, socketPort
	}
	config.ConnectTimeout = connectTimeout
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // also right through PgBouncer
	return pgx.ConnectConfig(ctx, config)
}

// createRoles runs database/postgres/init/roles.sql, as Docker's entrypoint does, on
// a primary where the server's role cannot log in yet.
func (c *cluster) createRoles(ctx context.Context, i instance) error {
	conn, err := c.connectAs(ctx, i.addr, c.cfg.Shards[i.shard].Database, c.cfg.DBUser, string(c.cfg.DBPassword))
	if err == nil {
		return conn.Close(ctx)
	}
	psql, err := program("psql")
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(i.addr)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, psql, "--no-psqlrc", "--no-password", "--quiet", "--host", host, "--port", port, "--username", "postgres",
		"--dbname", "postgres", "--file", filepath.Join(c.root, "database", "postgres", "init", "roles.sql"))
	cmd.Env = append(os.Environ(), "PGPASSWORD="+c.env["POSTGRES_PASSWORD"], "PGCONNECT_TIMEOUT=20") // it is ready, and may be slow
	cmd.Env = append(append(cmd.Env, c.cfg.Environ()...), "DB_NAME="+c.cfg.Shards[i.shard].Database)
	for _, name := range []string{"DB_PASSWORD", "DB_OWNER_PASSWORD", "DB_REPLICATION_PASSWORD"} {
		cmd.Env = append(cmd.Env, name+"="+c.stored(c.env[name]))
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: create roles: %w: %s", i.name, err, bytes.TrimSpace(said))
	}
	return nil
}
