// The parts of Argo CD that compare Git with a cluster and apply it; the first argument says which. The third stands for their redis: a cache, which may forget.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
	"hedgerow.dev/test/controlplane/parent"
)

var parts = map[string]func() *cobra.Command{
	"application-controller": controller.NewCommand,
	"repo-server":            reposerver.NewCommand,
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: argocd application-controller|repo-server|redis [flags]")
	}
	name := os.Args[1]
	os.Args = append([]string{"argocd-" + name}, os.Args[2:]...)
	parent.DieWith()
	if name == "redis" {
		if err := redis(); err != nil {
			fail(err.Error())
		}
		return
	}
	part, known := parts[name]
	if !known {
		fail(fmt.Sprintf("unknown part %q", name))
	}
	if err := part().Execute(); err != nil {
		fail(err.Error())
	}
}

func redis() error {
	address := flag.String("address", "127.0.0.1:6379", "where to listen")
	flag.Parse()
	stop, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(*address); err != nil {
		return err
	}
	defer server.Close()
	// Its clock stands still unless somebody moves it: nothing would ever expire.
	const tick = time.Second
	for ticker := time.NewTicker(tick); ; {
		select {
		case <-stop.Done():
			return nil
		case <-ticker.C:
			server.FastForward(tick)
		}
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}
