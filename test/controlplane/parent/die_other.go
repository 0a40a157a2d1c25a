//go:build !linux

// Package parent ties a process to the one that started it.
package parent

import (
	"os"
	"strconv"
	"time"
)

// DieWith ends this process soon after the one that started it. It does nothing unless HEDGEROW_DIE_WITH_PARENT holds the parent's process id.
func DieWith() {
	parent := os.Getenv("HEDGEROW_DIE_WITH_PARENT")
	if parent == "" {
		return
	}
	go func() {
		for strconv.Itoa(os.Getppid()) == parent {
			time.Sleep(500 * time.Millisecond)
		}
		os.Exit(1)
	}()
}
