package mountbench

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// earlier are the figures of earlier runs, by workload and contender, from files that
// -json wrote: what takes long need not be measured each time.
type earlier map[string]map[string][]figure

// Set is for package flag: it adds a file's figures, in the place of those of files before.
func (e earlier) Set(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for workload, rows := range raw {
		if workload == circumstancesKey {
			continue
		}
		var runs map[string][]figure
		if err := json.Unmarshal(rows, &runs); err != nil {
			return fmt.Errorf("%s, %s: %w", path, workload, err)
		}
		e.add(workload, runs)
	}
	return nil
}

func (e earlier) String() string { return "" }

func (e earlier) add(workload string, runs map[string][]figure) {
	if e[workload] == nil {
		e[workload] = map[string][]figure{}
	}
	for name, figures := range runs {
		e[workload][name] = figures
	}
}

// complete adds to a row what was not measured now.
func (e earlier) complete(r row) row {
	for name, figures := range e[r.workload.name] {
		if _, measured := r.runs[name]; measured {
			continue
		}
		if r.runs == nil {
			r.runs = map[string][]figure{}
		}
		r.runs[name] = figures
	}
	return r
}

// names adds the contenders that are not among those of now, in the order of their names.
func (e earlier) names(now []string) []string {
	var more []string
	for _, runs := range e {
		for name := range runs {
			if !slices.Contains(now, name) && !slices.Contains(more, name) {
				more = append(more, name)
			}
		}
	}
	slices.SortFunc(more, func(a, b string) int {
		if isOurs(a) != isOurs(b) { // before the others
			return map[bool]int{true: -1, false: 1}[isOurs(a)]
		}
		return strings.Compare(a, b)
	})
	return append(now, more...)
}
