package basebackup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// replication opens a connection that speaks the replication protocol (manual 55.4).
func replication(ctx context.Context, url string, timeout time.Duration) (*pgconn.PgConn, error) {
	options, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	options.ConnectTimeout = timeout
	options.RuntimeParams["replication"] = "true"
	options.RuntimeParams["application_name"] = "backup"
	return pgconn.ConnectConfig(ctx, options)
}

// ask runs a command of the replication protocol and returns its first row.
func ask(ctx context.Context, conn *pgconn.PgConn, command string) ([]string, error) {
	results, err := conn.Exec(ctx, command).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) == 0 || len(results[0].Rows) == 0 {
		return nil, fmt.Errorf("%s: no answer", command)
	}
	var row []string
	for _, value := range results[0].Rows[0] {
		row = append(row, string(value))
	}
	return row, nil
}

// send begins a command whose answer is read message by message.
func send(conn *pgconn.PgConn, command string) error {
	conn.Frontend().SendQuery(&pgproto3.Query{String: command})
	return conn.Frontend().Flush()
}

// baseCopy receives the copy of a data folder.
type baseCopy struct {
	data, manifest io.Writer
	started        func(start LSN, timeline int, bytes int64) error
	copied         func(n int)
}

// receive runs BASE_BACKUP. Its answer is a row with the start, a row for each tablespace, the copy, and a row with the end.
func (b *baseCopy) receive(ctx context.Context, conn *pgconn.PgConn, label string) (stop LSN, err error) {
	// Without WAL: that is streamed beside it, to a later moment.
	command := fmt.Sprintf(`BASE_BACKUP (LABEL %s, PROGRESS, CHECKPOINT 'fast', WAIT false, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256')`, quote(label))
	if err := send(conn, command); err != nil {
		return 0, err
	}
	var rows [][]string
	var into io.Writer
	for {
		message, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return 0, err
		}
		switch m := message.(type) {
		case *pgproto3.DataRow:
			var row []string
			for _, value := range m.Values {
				row = append(row, string(value))
			}
			rows = append(rows, row)
		case *pgproto3.CopyOutResponse:
			if err := b.begin(rows); err != nil {
				return 0, err
			}
			rows = nil
		case *pgproto3.CopyData:
			if into, err = b.piece(m.Data, into); err != nil {
				return 0, err
			}
		case *pgproto3.ErrorResponse:
			return 0, pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			if len(rows) != 1 {
				return 0, errors.New("the server ended the copy without saying where")
			}
			return parseLSN(rows[0][0])
		}
	}
}

func (b *baseCopy) begin(rows [][]string) error {
	if len(rows) != 2 || len(rows[0]) < 2 || len(rows[1]) < 3 {
		return fmt.Errorf("a data folder with %d tablespaces of its own: this tool copies those without", max(0, len(rows)-2))
	}
	start, err := parseLSN(rows[0][0])
	if err != nil {
		return err
	}
	timeline, err := strconv.Atoi(rows[0][1])
	if err != nil {
		return err
	}
	kilobytes, err := strconv.ParseInt(rows[1][2], 10, 64)
	if err != nil {
		return err
	}
	return b.started(start, timeline, kilobytes<<10)
}

// piece handles one CopyData: the first byte says what it is.
func (b *baseCopy) piece(data []byte, into io.Writer) (io.Writer, error) {
	if len(data) == 0 {
		return into, errors.New("the server sent an empty piece")
	}
	switch data[0] {
	case 'n': // a new archive
		return b.data, nil
	case 'm':
		return b.manifest, nil
	case 'd':
		if into == b.data {
			b.copied(len(data) - 1)
		}
		_, err := into.Write(data[1:])
		return into, err
	case 'p': // its progress; we count ourselves
		return into, nil
	}
	return into, fmt.Errorf("the server sent a piece of a kind that this tool does not know: %q", data[0])
}

func quote(s string) string {
	return "'" + string(bytes.ReplaceAll([]byte(s), []byte("'"), []byte("''"))) + "'"
}

const (
	lookEvery   = 200 * time.Millisecond // for the end
	statusEvery = time.Second            // wal_sender_timeout is 10 s
)

// streamWAL receives the write-ahead log from a segment's beginning on, until end says that it is complete.
func streamWAL(ctx context.Context, conn *pgconn.PgConn, slot string, from LSN, timeline int, to io.Writer, end func() (LSN, bool)) error {
	if err := send(conn, fmt.Sprintf("START_REPLICATION SLOT %s PHYSICAL %s TIMELINE %d", slot, from, timeline)); err != nil {
		return err
	}
	at, said := from, time.Time{}
	for {
		last, known := end()
		if known && at >= last {
			return nil
		}
		attempt, cancel := context.WithTimeout(ctx, lookEvery)
		message, err := conn.ReceiveMessage(attempt)
		cancel()
		var timeout net.Error
		asked := false
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !(errors.As(err, &timeout) && timeout.Timeout() || pgconn.Timeout(err)):
			return err
		case err == nil:
			switch m := message.(type) {
			case *pgproto3.ErrorResponse:
				return pgconn.ErrorResponseToPgError(m)
			case *pgproto3.CopyDone, *pgproto3.CommandComplete:
				return errors.New("the server ended the stream of its log: was it stopped or promoted?")
			case *pgproto3.CopyData:
				if asked, at, err = walPiece(m.Data, at, last, known, to); err != nil {
					return err
				}
			}
		}
		if asked || time.Since(said) > statusEvery {
			if err := sayReceived(conn, at); err != nil {
				return err
			}
			said = time.Now()
		}
	}
}

// walPiece handles one message of the stream, and returns whether the server wants an answer.
func walPiece(data []byte, at, last LSN, known bool, to io.Writer) (asked bool, now LSN, err error) {
	const walHeader, keepalive = 1 + 8 + 8 + 8, 1 + 8 + 8 + 1
	switch {
	case len(data) == keepalive && data[0] == 'k':
		return data[keepalive-1] == 1, at, nil
	case len(data) > walHeader && data[0] == 'w':
		if start := LSN(binary.BigEndian.Uint64(data[1:])); start != at {
			return false, at, fmt.Errorf("the server's log goes on at %s, want %s", start, at)
		}
		piece := data[walHeader:]
		if known {
			piece = piece[:min(len(piece), int(last-at))]
		}
		n, err := to.Write(piece)
		return false, at + LSN(n), err
	}
	return false, at, fmt.Errorf("the server sent a message of a kind that this tool does not know: %q", data[:min(1, len(data))])
}

var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// sayReceived lets the server forget what was received.
func sayReceived(conn *pgconn.PgConn, at LSN) error {
	status := []byte{'r'}
	for range 3 { // written, flushed, applied
		status = binary.BigEndian.AppendUint64(status, uint64(at))
	}
	status = binary.BigEndian.AppendUint64(status, uint64(time.Since(postgresEpoch).Microseconds()))
	conn.Frontend().Send(&pgproto3.CopyData{Data: append(status, 0)})
	return conn.Frontend().Flush()
}
