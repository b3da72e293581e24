//go:build race

package mounts

// raceEnabled: the program is built with the race detector if the tests are.
const raceEnabled = true
