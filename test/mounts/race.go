//go:build race

package mounts

// RaceEnabled: the program is built with the race detector if the tests are.
const RaceEnabled = true
