// The program in the pods of the node test: static, standard library only, so that its image is this one file.
//
//	podtool pause                                        waits for a signal (the sandbox of a pod)
//	podtool serve LISTENER...                            takes connections on TCP/[ADDRESS]:PORT, answers on UDP/[ADDRESS]:PORT and SCTP/[ADDRESS]:PORT
//	podtool connect [-from ADDRESS] TIMEOUT TARGET...    tries all targets, TCP/ADDRESS:PORT, UDP/… or SCTP/…, at once; one line each: `TARGET open` or `TARGET shut <why>`
package main

import (
	"flag"
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
		fail("usage: podtool pause | serve LISTENER... | connect [-from ADDRESS] TIMEOUT TARGET...")
	}
	switch args := os.Args[2:]; os.Args[1] {
	case "pause":
		wait()
	case "serve":
		for _, listener := range args {
			serve(listener)
		}
		wait()
	case "connect":
		flags := flag.NewFlagSet("connect", flag.ExitOnError)
		from := flags.String("from", "", "the own address to call from, where there are several")
		_ = flags.Parse(args)
		if flags.NArg() < 2 {
			fail("usage: podtool connect [-from ADDRESS] TIMEOUT TARGET...")
		}
		timeout, err := time.ParseDuration(flags.Arg(0))
		if err != nil {
			fail(err.Error())
		}
		connect(net.ParseIP(*from), timeout, flags.Args()[1:])
	default:
		fail("unknown command " + os.Args[1])
	}
}

func serve(listener string) {
	protocol, address, _ := strings.Cut(listener, "/")
	switch protocol {
	case "TCP":
		socket, err := net.Listen("tcp4", address)
		if err != nil {
			fail(err.Error())
		}
		go accept(socket)
	case "SCTP":
		go answerSCTP(address)
	case "UDP":
		socket, err := net.ListenPacket("udp4", address)
		if err != nil {
			fail(err.Error())
		}
		go echo(socket)
	default:
		fail("unknown protocol " + protocol)
	}
}

func accept(socket net.Listener) {
	for {
		connection, err := socket.Accept()
		if err != nil {
			fail(err.Error())
		}
		_ = connection.Close()
	}
}

func echo(socket net.PacketConn) {
	datagram := make([]byte, 64)
	for {
		length, peer, err := socket.ReadFrom(datagram)
		if err != nil {
			fail(err.Error())
		}
		_, _ = socket.WriteTo(datagram[:length], peer)
	}
}

func connect(from net.IP, timeout time.Duration, targets []string) {
	lines := make([]string, len(targets))
	var all sync.WaitGroup
	for at, target := range targets {
		all.Go(func() {
			state := "open"
			if err := try(from, target, timeout); err != nil {
				state = "shut " + err.Error()
			}
			lines[at] = target + " " + state
		})
	}
	all.Wait()
	fmt.Println(strings.Join(lines, "\n"))
}

// try counts a target as open when it takes the connection, or echoes a datagram: that is all a NetworkPolicy decides.
func try(from net.IP, target string, timeout time.Duration) error {
	protocol, address, _ := strings.Cut(target, "/")
	switch protocol {
	case "TCP":
		dialer := net.Dialer{Timeout: timeout, LocalAddr: &net.TCPAddr{IP: from}}
		connection, err := dialer.Dial("tcp4", address)
		if err != nil {
			return err
		}
		return connection.Close()
	case "UDP":
		dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: from}}
		connection, err := dialer.Dial("udp4", address)
		if err != nil {
			return err
		}
		defer connection.Close()
		return heard(connection, timeout)
	case "SCTP":
		return trySCTP(from, address, timeout)
	}
	return fmt.Errorf("unknown protocol %s", protocol)
}

// heard sends again and again: a datagram may be lost.
func heard(connection net.Conn, timeout time.Duration) error {
	answer := make([]byte, 64)
	for end := time.Now().Add(timeout); ; {
		if _, err := connection.Write([]byte("?")); err != nil {
			return err
		}
		_ = connection.SetReadDeadline(time.Now().Add(timeout / 5))
		_, err := connection.Read(answer)
		if err == nil {
			return nil
		}
		if !os.IsTimeout(err) || time.Now().After(end) {
			return err
		}
	}
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
