//go:build !linux

package main

import (
	"os/exec"
	"syscall"

	ps "github.com/shirou/gopsutil/v4/process"
)

// dieWithParent: only Linux can tie one process's life to another's.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// sharedOf: other systems do not tell shared memory apart.
func sharedOf(*ps.MemoryInfoExStat) (private, shared uint64) { return 0, 0 }
