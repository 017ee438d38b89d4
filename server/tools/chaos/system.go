package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/host"
)

// system is what faults are done to.
type system interface {
	// Fault kills, freezes or thaws a service, or one "worker" of the API.
	Fault(ctx context.Context, deed, service string) error
	// Command runs one of the operator's commands, as make does.
	Command(ctx context.Context, name string, settings ...string) error
}

// operator has the Makefile's own programs do it, from the server directory.
type operator struct{}

// Fault implements system.
func (operator) Fault(ctx context.Context, deed, service string) error {
	return quietly(exec.CommandContext(ctx, "../.build/cluster", "fault", deed, service))
}

// Command implements system.
func (operator) Command(ctx context.Context, name string, settings ...string) error {
	cmd := exec.CommandContext(ctx, "../scripts/stack.sh", name)
	cmd.Env = append(os.Environ(), settings...)
	return quietly(cmd)
}

// outside has the machine do it on which this container runs.
type outside struct{ host *host.Host }

// Fault implements system.
func (o outside) Fault(_ context.Context, deed, service string) error {
	return o.host.Do("fault", deed, service)
}

// Command implements system.
func (o outside) Command(_ context.Context, name string, settings ...string) error {
	return o.host.Do(append([]string{"make", name}, settings...)...)
}

// quietly runs a command, whose words are of interest only if it fails.
func quietly(cmd *exec.Cmd) error {
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, bytes.TrimSpace(said))
	}
	return nil
}
