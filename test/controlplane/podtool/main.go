// The program in the pods of the node test: static, standard library only, so that its image is this one file.
//
//	podtool pause                      waits for a signal (the sandbox of a pod)
//	podtool serve PORT...              accepts connections
//	podtool connect TIMEOUT TARGET...  tries all targets at once; one line each: `TARGET open` or `TARGET shut <why>`
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: podtool pause | serve PORT... | connect TIMEOUT TARGET...")
	}
	switch args := os.Args[2:]; os.Args[1] {
	case "pause":
		wait()
	case "serve":
		serve(args)
		wait()
	case "connect":
		if len(args) < 2 {
			fail("usage: podtool connect TIMEOUT TARGET...")
		}
		timeout, err := time.ParseDuration(args[0])
		if err != nil {
			fail(err.Error())
		}
		connect(timeout, args[1:])
	default:
		fail("unknown command " + os.Args[1])
	}
}

func serve(ports []string) {
	for _, port := range ports {
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			fail(err.Error())
		}
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					fail(err.Error())
				}
				_ = connection.Close()
			}
		}()
	}
}

func connect(timeout time.Duration, targets []string) {
	lines := make([]string, len(targets))
	var all sync.WaitGroup
	for at, target := range targets {
		all.Go(func() { lines[at] = target + " " + try(target, timeout) })
	}
	all.Wait()
	fmt.Println(strings.Join(lines, "\n"))
}

// try counts a target as open when it takes the connection: that is all a NetworkPolicy decides.
func try(target string, timeout time.Duration) string {
	connection, err := net.DialTimeout("tcp", target, timeout)
	if err != nil {
		return "shut " + err.Error()
	}
	_ = connection.Close()
	return "open"
}

func wait() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}
