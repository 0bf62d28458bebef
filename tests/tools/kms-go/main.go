// SPDX-License-Identifier: Apache-2.0

// kms-go COMMAND SOCKET [ARGUMENT...] is a client of kms-shim over grpc-go, the library that kube-apiserver uses,
// with messages written by hand:
//
//	forms SOCKET            a Status over every form of target and authority
//	load SOCKET N CALLS     N connections at once, each with CALLS round trips of both versions
//	deadline SOCKET         a call whose deadline has passed, and one that is cancelled
//	refused SOCKET          errors: code and sentence
//	steady SOCKET SECONDS   calls without a pause; prints how many, and fails if one did
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
)

type rawCodec struct{}

func (rawCodec) Name() string                               { return "proto" }
func (rawCodec) Marshal(v interface{}) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v interface{}) error { *v.(*[]byte) = data; return nil }

func field(out []byte, number byte, data []byte) []byte {
	out = append(out, number<<3|2)
	n := len(data)
	for ; n > 0x7f; n >>= 7 {
		out = append(out, byte(n&0x7f|0x80))
	}
	return append(append(out, byte(n)), data...)
}

// fields returns the fields of a message, all of bytes, in their order.
func fields(message []byte) (map[byte][][]byte, error) {
	found := map[byte][][]byte{}
	for len(message) > 0 {
		number, n, shift := message[0]>>3, 0, uint(0)
		message = message[1:]
		for {
			if len(message) == 0 {
				return nil, errors.New("cut off")
			}
			b := message[0]
			message = message[1:]
			n |= int(b&0x7f) << shift
			shift += 7
			if b < 0x80 {
				break
			}
		}
		if n > len(message) {
			return nil, errors.New("cut off")
		}
		found[number] = append(found[number], message[:n])
		message = message[n:]
	}
	return found, nil
}

// dial connects as k8s.io/apiserver does, to one connection of its own.
func dial(socket, target string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	options := append([]grpc.DialOption{grpc.WithInsecure(), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
		})}, more...)
	return grpc.Dial(target, options...)
}

func call(conn *grpc.ClientConn, timeout time.Duration, method string, request []byte) (map[byte][][]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var answer []byte
	if err := conn.Invoke(ctx, method, &request, &answer); err != nil {
		return nil, err
	}
	return fields(answer)
}

const (
	v2      = "/v2.KeyManagementService/"
	v1      = "/v1beta1.KeyManagementService/"
	timeout = 20 * time.Second
)

func roundTrip(conn *grpc.ClientConn) error {
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return err
	}
	state, err := call(conn, timeout, v2+"Status", nil)
	if err != nil {
		return err
	}
	made, err := call(conn, timeout, v2+"Encrypt", field(field(nil, 1, seed), 2, []byte("uid-1")))
	if err != nil {
		return err
	}
	if !bytes.Equal(made[2][0], state[3][0]) {
		return errors.New("the key_ids differ")
	}
	request := field(field(field(nil, 1, made[1][0]), 2, []byte("uid-2")), 3, made[2][0])
	for _, annotation := range made[3] {
		request = field(request, 4, annotation)
	}
	opened, err := call(conn, timeout, v2+"Decrypt", request)
	if err != nil {
		return err
	}
	if !bytes.Equal(opened[1][0], seed) {
		return errors.New("another plaintext came back")
	}
	old, err := call(conn, timeout, v1+"Encrypt", field(field(nil, 1, []byte("v1beta1")), 2, seed))
	if err != nil {
		return err
	}
	opened, err = call(conn, timeout, v1+"Decrypt", field(field(nil, 1, []byte("v1beta1")), 2, old[1][0]))
	if err != nil {
		return err
	}
	if !bytes.Equal(opened[1][0], seed) {
		return errors.New("another plaintext came back, in v1beta1")
	}
	return nil
}

func forms(socket string) error {
	escaped := strings.Replace(socket, "/", "%2F", -1)
	for _, authority := range []string{"", "localhost", socket, escaped, "unix:" + socket} {
		for _, target := range []string{socket, "unix://" + socket, "passthrough:///" + socket} {
			var options []grpc.DialOption
			if authority != "" {
				options = append(options, grpc.WithAuthority(authority))
			}
			conn, err := dial(socket, target, options...)
			if err == nil {
				err = roundTrip(conn)
				conn.Close()
			}
			if err != nil {
				return fmt.Errorf("target %q, authority %q: %v", target, authority, err)
			}
		}
	}
	return nil
}

func load(socket string, clients, calls int) error {
	problems := make(chan error, clients)
	var all sync.WaitGroup
	for i := 0; i < clients; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			conn, err := dial(socket, socket)
			for j := 0; j < calls && err == nil; j++ {
				err = roundTrip(conn)
			}
			if err != nil {
				problems <- err
			}
		}()
	}
	all.Wait()
	close(problems)
	return <-problems
}

func deadline(socket string) error {
	conn, err := dial(socket, socket)
	if err != nil {
		return err
	}
	if err := roundTrip(conn); err != nil {
		return err
	}
	_, err = call(conn, time.Microsecond, v2+"Status", nil)
	if status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("a deadline that has passed: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var request, answer []byte
	if err := conn.Invoke(ctx, v2+"Status", &request, &answer); status.Code(err) != codes.Canceled {
		return fmt.Errorf("a call that was cancelled: %v", err)
	}
	return roundTrip(conn)
}

func refused(socket string) error {
	conn, err := dial(socket, socket)
	if err != nil {
		return err
	}
	cases := []struct {
		method  string
		request []byte
		code    codes.Code
	}{
		{v2 + "Nothing", nil, codes.Unimplemented},
		{"/v3.KeyManagementService/Status", nil, codes.Unimplemented},
		{v2 + "Encrypt", nil, codes.InvalidArgument},
		{v2 + "Encrypt", []byte{0xff}, codes.InvalidArgument},
		{v2 + "Encrypt", field(nil, 1, make([]byte, 1<<20)), codes.ResourceExhausted},
		{v2 + "Decrypt", field(field(nil, 1, []byte("x")), 3, []byte("ä%\"none")), codes.InvalidArgument},
	}
	for _, c := range cases {
		_, err := call(conn, timeout, c.method, c.request)
		s := status.Convert(err)
		if s.Code() != c.code || s.Message() == "" || strings.Contains(s.Message(), "%20") {
			return fmt.Errorf("%s: %v", c.method, err)
		}
	}
	return roundTrip(conn)
}

func steady(socket string, seconds int) error {
	conn, err := dial(socket, socket)
	if err != nil {
		return err
	}
	count := 0
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); count++ {
		if err := roundTrip(conn); err != nil {
			return fmt.Errorf("after %d: %v", count, err)
		}
	}
	fmt.Println(count)
	return nil
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: kms-go COMMAND SOCKET [ARGUMENT...]")
	}
	var numbers []int
	for _, arg := range args[2:] {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		numbers = append(numbers, n)
	}
	switch {
	case args[0] == "forms":
		return forms(args[1])
	case args[0] == "load" && len(numbers) == 2:
		return load(args[1], numbers[0], numbers[1])
	case args[0] == "deadline":
		return deadline(args[1])
	case args[0] == "refused":
		return refused(args[1])
	case args[0] == "steady" && len(numbers) == 1:
		return steady(args[1], numbers[0])
	}
	return errors.New("unknown command " + args[0])
}

func main() {
	encoding.RegisterCodec(rawCodec{})
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kms-go:", err)
		os.Exit(1)
	}
}
