package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const key = "wJalrXUtnFEMI"

// holder reaches the secret through an unexported field, where fmt calls no methods.
type holder struct {
	inner String
	Outer String
	Ptr   *String
}

func TestNothingPrintsIt(t *testing.T) {
	s := New(key)
	h := holder{inner: s, Outer: s, Ptr: &s}
	js, err := json.Marshal(map[string]any{"s": s, "h": h})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "h", h)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "h", h)
	outs := []string{string(js), log.String(), fmt.Errorf("bad %v: %w", s, errors.New("x")).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
		outs = append(outs, fmt.Sprintf(verb, s), fmt.Sprintf(verb, h), fmt.Sprintf(verb, &h), fmt.Sprintf(verb, []String{s}))
	}
	hexed := fmt.Sprintf("%x", key)
	for _, out := range outs {
		if strings.Contains(out, key) || strings.Contains(strings.ToLower(out), hexed) || strings.Contains(out, "wJa") {
			t.Errorf("the secret shows in %q", out)
		}
	}
	if fmt.Sprint(s) != "[secret]" {
		t.Errorf("Sprint = %q", fmt.Sprint(s))
	}
}

func TestReveal(t *testing.T) {
	if got := New(key).Reveal(); got != key {
		t.Errorf("Reveal = %q", got)
	}
	var zero String
	if zero.Reveal() != "" || !zero.Empty() || !New("").Empty() || New("x").Empty() {
		t.Error("the zero String is not the empty string")
	}
}
