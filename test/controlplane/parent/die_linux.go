// Package parent ties a process to the one that started it.
package parent

import (
	"os"
	"strconv"
	"syscall"
)

// DieWith asks the kernel to kill this process with the one that started it, also after kill -9 of that one and also while this one is stopped.
// It does nothing unless HEDGEROW_DIE_WITH_PARENT holds the parent's process id.
func DieWith() {
	parent := os.Getenv("HEDGEROW_DIE_WITH_PARENT")
	if parent == "" {
		return
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0)
	// The parent may have gone before the call above.
	if strconv.Itoa(os.Getppid()) != parent {
		os.Exit(1)
	}
}
