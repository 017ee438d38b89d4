package live

import (
	"fmt"
	"math"
	"time"
)

// view is what the page shows, as words.
type view struct {
	At      time.Time
	State   severity
	Summary string
	Title   string // of the window
	Figures []figure
	Present []troubleView
	Past    []troubleView
	Charts  []chart
	Ring    ring
	Shards  []shardView
	Workers []workerView
}

// figure is a number with what it is.
type figure struct{ Name, Value string }

type troubleView struct {
	State        severity
	What, Works  string
	Since, Until time.Time
	Lasted       string
}

// mark is a state: a word, and how it looks.
type mark struct {
	State severity
	Word  string
}

type shardView struct {
	Name, Share, Users string
	Color              int
	Servers            []serverView
	Pooler             mark
	PoolerNote         string
	Flow               flowView
	Chart              chart
}

type serverView struct {
	Name, Role string
	mark

	Note string
}

type flowView struct{ Rate, P50, P99, Failed string }

type workerView struct {
	Number int
	mark

	Flow                                           flowView
	Connections, Processor, Memory, Routines, Died string
}

// colors is how many the shards have; then they begin anew.
const colors = 8

func (h *history) view() view {
	m := h.newest()
	all := h.total()
	v := view{At: m.at, State: h.tracker.worst(), Ring: newRing(m)}
	v.Summary, v.Title = h.summary()
	var serving, cpu float64
	for i := range m.workers {
		one := h.workerView(i)
		v.Workers = append(v.Workers, one)
		cpu += h.rate(m.workers[i].cpu, h.before().workers[i].cpu)
		if one.Word == "serving" {
			serving++
		}
	}
	var users float64
	for i := range m.shards {
		v.Shards = append(v.Shards, h.shardView(i))
		users += m.shards[i].users
	}
	v.Figures = []figure{
		{"Requests / s", rate(all.rate)},
		{"Median", seconds(all.p50)},
		{"99 % within", seconds(all.p99)},
		{"Errors / s", rate(all.failed)},
		{"Users, about", count(users)},
		{"Workers serving", fmt.Sprintf("%g of %d", serving, len(m.workers))},
		{"Processors busy", fmt.Sprintf("%.1f", cpu)},
	}
	v.Charts = []chart{
		newChart("Requests a second", all.rate, &h.all.rate, rate, &h.trouble),
		newChart("99 % answered within", all.p99, &h.all.p99, seconds, &h.trouble),
		newChart("Errors a second", all.failed, &h.all.failed, rate, &h.trouble),
	}
	for _, one := range h.tracker.present {
		v.Present = append(v.Present, troubleView{one.severity, one.what, one.works, one.since, time.Time{}, lasted(m.at.Sub(one.since))})
	}
	for _, one := range h.tracker.past {
		v.Past = append(v.Past, troubleView{one.severity, one.what, one.works, one.since, one.until, lasted(one.until.Sub(one.since))})
	}
	return v
}

// summary says in a sentence how it is, and in a few words.
func (h *history) summary() (text, title string) {
	faults, warnings := 0, 0
	for _, one := range h.tracker.present {
		if one.severity == fault {
			faults++
		} else {
			warnings++
		}
	}
	var parts []string
	if faults > 0 {
		parts = append(parts, several(faults, "fault"))
	}
	if warnings > 0 {
		parts = append(parts, several(warnings, "warning"))
	}
	if len(parts) == 0 {
		return "All is well", "well"
	}
	title = sentence(parts...)
	return title + ": " + h.tracker.present[0].what, title
}

func (h *history) shardView(i int) shardView {
	s := &h.newest().shards[i]
	now := h.shard(i)
	v := shardView{Name: s.name, Share: percent(s.share), Users: count(s.users), Color: i % colors, Flow: newFlowView(now)}
	for _, one := range s.servers {
		shown := serverView{Name: one.name, Role: one.role, mark: mark{fine, "answers"}}
		switch {
		case !one.up && one.role == "primary":
			shown.mark = mark{fault, "does not answer"}
		case !one.up:
			shown.mark = mark{warning, "does not answer"}
		case one.role == "replica":
			shown.Note = s.behind()
			if s.serves == 0 {
				shown.mark = mark{warning, "is not read"}
			}
		}
		v.Servers = append(v.Servers, shown)
	}
	switch s.pooler.up {
	case 1:
		v.Pooler = mark{fine, "answers"}
		v.PoolerNote = count(s.pooler.clients+s.pooler.waiting) + " clients"
		if s.pooler.waiting > 0 {
			v.PoolerNote += ", " + count(s.pooler.waiting) + " wait"
		}
	case 0:
		v.Pooler = mark{fault, "does not answer"}
	default:
		v.Pooler = mark{warning, "not looked at yet"}
	}
	lines := new(lines)
	if i < len(h.shards) {
		lines = &h.shards[i]
	}
	v.Chart = newChart("Queries a second of "+s.name, now.rate, &lines.rate, rate, nil)
	return v
}

// behind is how far the shard's replica is behind its primary.
func (s *shardAt) behind() string {
	if math.IsNaN(s.lag) {
		return ""
	}
	text := seconds(s.lag) + " behind"
	if s.lagBytes > 0 {
		text += ", " + size(s.lagBytes)
	}
	return text
}

func newFlowView(f flow) flowView {
	return flowView{Rate: rate(f.rate), P50: seconds(f.p50), P99: seconds(f.p99), Failed: rate(f.failed)}
}

func (h *history) workerView(i int) workerView {
	w := &h.newest().workers[i]
	v := workerView{
		Number: i, mark: mark{fine, w.phase}, Flow: newFlowView(h.worker(i)),
		Connections: count(w.connections), Memory: size(w.resident), Routines: count(w.goroutines), Died: count(w.deaths),
	}
	v.Processor = percent(h.rate(w.cpu, h.before().workers[i].cpu))
	switch w.phase {
	case "silent":
		v.State = fault
	case "serving":
	default:
		v.State = warning
	}
	return v
}
