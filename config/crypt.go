package config

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/text/unicode/norm"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// An encrypted file is rclone's: comments, the line boxV0, and in base64 a nonce and a
// NaCl secretbox of the whole text. Its key is the SHA-256 of the password within a
// fixed text, and not a slow hash: a short password can be found by trying.
const (
	boxComment = "# Encrypted rclone configuration File\n\n"
	boxPrefix  = "RCLONE_ENCRYPT_V"
	boxV0      = boxPrefix + "0:"
	nonceSize  = 24
)

// findBox returns the encrypted part of a file; nil for a plain one.
func findBox(path string, text []byte) (box []byte, err error) {
	for rest := bytes.TrimPrefix(text, []byte(bom)); len(rest) > 0; {
		line, behind, _ := bytes.Cut(rest, []byte("\n"))
		rest = behind
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#' || line[0] == ';':
		case string(line) == boxV0:
			return decodeBox(path, rest)
		case bytes.HasPrefix(line, []byte(boxPrefix)):
			return nil, object.Errorf(object.KindUnsupported, "read config", path, "the file is encrypted in a way that is newer than this s3mount: update it")
		default:
			return nil, nil
		}
	}
	return nil, nil
}

func decodeBox(path string, text []byte) ([]byte, error) {
	box := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(box, bytes.TrimSpace(text))
	if err != nil || n < nonceSize+secretbox.Overhead {
		return nil, object.Errorf(object.KindInvalid, "read config", path, "the file is encrypted, and damaged: restore it from a backup")
	}
	return box[:n], nil
}

// openBox decrypts; ok is false for a wrong password, or a damaged box.
func openBox(box []byte, password secret.String) (text []byte, ok bool) {
	var nonce [nonceSize]byte
	copy(nonce[:], box)
	return secretbox.Open([]byte{}, box[nonceSize:], &nonce, boxKey(password))
}

// sealBox makes the text of an encrypted file.
func sealBox(text []byte, password secret.String) []byte {
	var nonce [nonceSize]byte
	rand.Read(nonce[:]) // never fails
	box := secretbox.Seal(nonce[:], text, &nonce, boxKey(password))
	out := []byte(boxComment + boxV0 + "\n")
	return base64.StdEncoding.AppendEncode(out, box)
}

// boxKey makes the key of a password. The same password in another Unicode form is
// the same key.
func boxKey(password secret.String) *[32]byte {
	key := sha256.Sum256([]byte("[" + norm.NFKC.String(password.Reveal()) + "][rclone-config]"))
	return &key
}

// checkPassword refuses what rclone refuses as a password.
func checkPassword(password secret.String) error {
	switch text := password.Reveal(); {
	case !utf8.ValidString(text):
		return errors.New("it is not UTF-8")
	case strings.TrimSpace(text) == "":
		return errors.New("it is empty")
	}
	return nil
}
