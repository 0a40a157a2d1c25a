// Add-ons of the test control plane in one program: the first argument says which.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"hedgerow.dev/test/controlplane/parent"
)

var parts = map[string]func(ctx context.Context, args []string) error{
	"cert-manager-controller": runController,
	"cert-manager-webhook":    runWebhook,
	"kwok":                    runKwok,
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: addons cert-manager-controller|cert-manager-webhook|kwok [flags]")
	}
	part, known := parts[os.Args[1]]
	if !known {
		fail(fmt.Sprintf("unknown part %q", os.Args[1]))
	}
	// kwok reads os.Args itself.
	os.Args = append([]string{os.Args[1]}, os.Args[2:]...)
	parent.DieWith()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := part(ctx, os.Args[1:]); err != nil {
		fail(err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}
