// SPDX-License-Identifier: Apache-2.0

// goplugin SOCKET: the plainest KMS v2 plugin in Go, with an AES key in memory, to measure beside kms-shim. It
// protects nothing. Messages are written by hand, as bytes, so that grpc-go is all it needs.
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
)

const keyID = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

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
	out = append(out, byte(n))
	return append(out, data...)
}

// first returns field 1 of a message whose fields are all of bytes.
func first(message []byte) ([]byte, error) {
	for len(message) > 1 {
		tag, n, shift := message[0], 0, 0
		message = message[1:]
		for {
			if len(message) == 0 {
				return nil, errors.New("cut")
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
			return nil, errors.New("cut")
		}
		if tag == 1<<3|2 {
			return message[:n], nil
		}
		message = message[n:]
	}
	return nil, errors.New("no field 1")
}

type plugin struct{ aead cipher.AEAD }

func (p *plugin) status(_ []byte) ([]byte, error) {
	return field(field(field(nil, 1, []byte("v2")), 2, []byte("ok")), 3, []byte(keyID)), nil
}

func (p *plugin) encrypt(request []byte) ([]byte, error) {
	plaintext, err := first(request)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, p.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return field(field(nil, 1, p.aead.Seal(nonce, nonce, plaintext, nil)), 2, []byte(keyID)), nil
}

func (p *plugin) decrypt(request []byte) ([]byte, error) {
	ciphertext, err := first(request)
	if err != nil || len(ciphertext) < p.aead.NonceSize() {
		return nil, errors.New("malformed")
	}
	n := p.aead.NonceSize()
	plaintext, err := p.aead.Open(nil, ciphertext[:n], ciphertext[n:], nil)
	return field(nil, 1, plaintext), err
}

func method(name string, do func([]byte) ([]byte, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ interface{}, _ context.Context,
		decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
		var request []byte
		if err := decode(&request); err != nil {
			return nil, err
		}
		answer, err := do(request)
		return &answer, err
	}}
}

func main() {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		log.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		log.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		log.Fatal(err)
	}
	encoding.RegisterCodec(rawCodec{})
	p := &plugin{aead}
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "v2.KeyManagementService", HandlerType: nil,
		Methods: []grpc.MethodDesc{method("Status", p.status), method("Encrypt", p.encrypt),
			method("Decrypt", p.decrypt)}}, nil)
	log.Fatal(server.Serve(listener))
}
