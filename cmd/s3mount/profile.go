package main

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/spf13/pflag"
)

// profiles are the files, if any, into which a mount writes where its time and memory go.
// The flags are for those who make s3mount faster, and not shown.
type profiles struct{ cpu, memory, goroutines string }

func (p *profiles) addFlags(f *pflag.FlagSet) {
	f.StringVar(&p.cpu, "cpuprofile", "", "write a CPU profile to `FILE`, for go tool pprof")
	f.StringVar(&p.memory, "memprofile", "", "write a profile of the heap at the end to `FILE`")
	f.StringVar(&p.goroutines, "goroutineprofile", "", "write what still runs when the mount has ended to `FILE`")
	for _, name := range []string{"cpuprofile", "memprofile", "goroutineprofile"} {
		f.Lookup(name).Hidden = true
	}
}

// start begins the CPU profile. The caller calls the returned function at the end: it
// writes both.
func (p *profiles) start() (stop func() error, err error) {
	var cpu *os.File
	if p.cpu != "" {
		if cpu, err = os.Create(p.cpu); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, errors.Join(err, cpu.Close())
		}
	}
	return func() error {
		var err error
		if cpu != nil {
			pprof.StopCPUProfile()
			err = cpu.Close()
		}
		return errors.Join(err, p.heap(), p.running())
	}, nil
}

// heap writes the profile of the heap.
func (p *profiles) heap() error {
	if p.memory == "" {
		return nil
	}
	f, err := os.Create(p.memory)
	if err != nil {
		return err
	}
	runtime.GC() // the profile is as of the last collection
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}

// running writes the goroutines that are left.
func (p *profiles) running() error {
	if p.goroutines == "" {
		return nil
	}
	f, err := os.Create(p.goroutines)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("goroutine").WriteTo(f, 1), f.Close())
}
