package main

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// stored is what the databases and poolers are given as a role's password: itself, and in a test
// what they would make of it (SCRAM-SHA-256, RFC 5803), hashed once. To hash 130 random
// bits 4,096 times makes them no safer, and takes 15 ms of each login under the race detector.
func (c *cluster) stored(password string) string {
	if !c.hold {
		return password
	}
	const salt, iterations = "test", 1
	salted, err := pbkdf2.Key(sha256.New, password, []byte(salt), iterations, sha256.Size)
	if err != nil {
		panic(err) // of what FIPS 140 forbids
	}
	sign := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	key := sha256.Sum256(sign("Client Key"))
	in := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, in([]byte(salt)), in(key[:]), in(sign("Server Key")))
}
