package main

import (
	"os/exec"
	"syscall"

	ps "github.com/shirou/gopsutil/v4/process"
)

// dieWithParent has the kernel stop cmd when this program is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

func sharedOf(m *ps.MemoryInfoExStat) (private, shared uint64) {
	return m.RSS - min(m.RSS, m.Shared), m.Shared
}
