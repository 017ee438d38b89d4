package metrics

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
)

// Processes tells Prometheus what the system knows of each process of the server,
// however busy or stopped it is. It is used in the master's companion.
type Processes struct{ memory *Memory }

// NewProcesses returns what tells of the processes of the memory's workers.
func NewProcesses(memory *Memory) Processes { return Processes{memory} }

func describeProcess(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("process_"+name, help, []string{"process"}, nil)
}

var (
	cpuDesc      = describeProcess("cpu_seconds_total", "Processor time, of the user's and the system's.")
	residentDesc = describeProcess("resident_memory_bytes", "Resident memory.")
	filesDesc    = describeProcess("open_fds", "Open file descriptors.")
	startDesc    = describeProcess("start_time_seconds", "When it was started, in Unix time.")
)

// Describe implements prometheus.Collector.
func (Processes) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{cpuDesc, residentDesc, filesDesc, startDesc} {
		to <- desc
	}
}

// Collect implements prometheus.Collector. Where the system does not tell, it tells nothing.
func (p Processes) Collect(to chan<- prometheus.Metric) {
	collect(to, "master", os.Getppid())
	collect(to, "admin", os.Getpid())
	for i := range p.memory.slots {
		if pid := p.memory.PID(i); pid != 0 {
			collect(to, fmt.Sprintf("worker-%d", i), pid)
		}
	}
}

func collect(to chan<- prometheus.Metric, process string, pid int) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return
	}
	stat, err := proc.Stat()
	if err != nil {
		return
	}
	to <- counter(cpuDesc, stat.CPUTime(), process)
	to <- gauge(residentDesc, stat.ResidentMemory(), process)
	if started, err := stat.StartTime(); err == nil {
		to <- gauge(startDesc, started, process)
	}
	if files, err := proc.FileDescriptorsLen(); err == nil {
		to <- gauge(filesDesc, files, process)
	}
}
