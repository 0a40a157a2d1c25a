package main

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"time"
)

// SCTP needs no kernel that speaks it, and the right to raw sockets, which pods do not have: who has it starts this beside them. Of an association only the first two
// packets are exchanged, INIT and INIT ACK (RFC 9260 §3.3.2, §3.3.3): by the first a NetworkPolicy decides.
const (
	rawSCTP        = "ip4:132"
	chunkINIT      = 1
	chunkINITACK   = 2
	headerLength   = 12
	tagAt          = headerLength + 4
	shortestPacket = headerLength + 20
)

// answerSCTP answers every INIT to this port.
func answerSCTP(address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		fail(err.Error())
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		fail(err.Error())
	}
	socket, err := net.ListenIP(rawSCTP, &net.IPAddr{IP: net.ParseIP(host)})
	if err != nil {
		fail(err.Error())
	}
	packet := make([]byte, 1500)
	for {
		length, peer, err := socket.ReadFrom(packet)
		if err != nil {
			fail(err.Error())
		}
		if !isChunk(packet[:length], chunkINIT) || binary.BigEndian.Uint16(packet[2:]) != uint16(number) {
			continue
		}
		tag := binary.BigEndian.Uint32(packet[tagAt:])
		// A cookie of four bytes (§3.3.3.1).
		cookie := []byte{0, 7, 0, 8, 1, 2, 3, 4}
		_, _ = socket.WriteTo(sctpPacket(uint16(number), binary.BigEndian.Uint16(packet), tag, chunkINITACK, cookie), peer)
	}
}

// trySCTP is answered by an INIT ACK, or not.
func trySCTP(from net.IP, address string, timeout time.Duration) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	socket, err := net.DialIP(rawSCTP, &net.IPAddr{IP: from}, &net.IPAddr{IP: net.ParseIP(host)})
	if err != nil {
		return err
	}
	defer socket.Close()
	own := uint16(20480 + rand.IntN(40000))
	if _, err := socket.Write(sctpPacket(own, uint16(number), 0, chunkINIT, nil)); err != nil {
		return err
	}
	_ = socket.SetReadDeadline(time.Now().Add(timeout))
	packet := make([]byte, 1500)
	for {
		length, err := socket.Read(packet)
		// It may be another call that was refused there: an ICMP error reaches every raw socket of these two addresses.
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}
		if err != nil {
			return err
		}
		content, err := withoutIPHeader(packet[:length])
		if err != nil {
			return err
		}
		// A kernel that speaks SCTP knows nothing of us and may have aborted first.
		if isChunk(content, chunkINITACK) && binary.BigEndian.Uint16(content[2:]) == own {
			return nil
		}
	}
}

func sctpPacket(from, to uint16, verificationTag uint32, chunk byte, parameters []byte) []byte {
	packet := make([]byte, shortestPacket, shortestPacket+len(parameters))
	binary.BigEndian.PutUint16(packet, from)
	binary.BigEndian.PutUint16(packet[2:], to)
	binary.BigEndian.PutUint32(packet[4:], verificationTag)
	packet[headerLength] = chunk
	binary.BigEndian.PutUint16(packet[headerLength+2:], uint16(20+len(parameters)))
	// Initiate tag, window, one stream each way, first TSN.
	binary.BigEndian.PutUint32(packet[tagAt:], rand.Uint32()|1)
	binary.BigEndian.PutUint32(packet[tagAt+4:], 65536)
	binary.BigEndian.PutUint16(packet[tagAt+8:], 1)
	binary.BigEndian.PutUint16(packet[tagAt+10:], 1)
	binary.BigEndian.PutUint32(packet[tagAt+12:], rand.Uint32())
	packet = append(packet, parameters...)
	// CRC32c over the packet with a checksum of zero, its bytes in this order (appendix A).
	binary.LittleEndian.PutUint32(packet[8:], crc32.Checksum(packet, crc32.MakeTable(crc32.Castagnoli)))
	return packet
}

func isChunk(packet []byte, chunk byte) bool {
	return len(packet) >= shortestPacket && packet[headerLength] == chunk
}

// A raw socket that is read as a stream gives the IP header too.
func withoutIPHeader(packet []byte) ([]byte, error) {
	if len(packet) < 20 || len(packet) < int(packet[0]&0x0f)*4 {
		return nil, errors.New("a packet shorter than its header")
	}
	return packet[int(packet[0]&0x0f)*4:], nil
}
