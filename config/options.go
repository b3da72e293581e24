package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Option is an option of a remote of type s3, as questions, flags, checks and docs
// have it.
type Option struct {
	Name    string
	Help    string   // one sentence; "\n" and more for who asks for help
	Default string   // what not setting it means; empty: nothing, or it depends
	Choices []Choice // to choose from by number
	Closed  bool     // a value that is none of Choices is wrong
	Type    string   // "string", "bool", "tristate", "int", "size" or "url"
	// Secret values are not shown and not echoed.
	Secret bool
	// Advanced options are asked for only on request.
	Advanced bool
}

// Choice is a value to choose, and what it means.
type Choice struct{ Value, Help string }

// S3Options returns the options of a remote of type s3 that s3mount acts on, in the
// order in which they are asked for and written.
func S3Options() []Option { return slices.Clone(s3Options) }

// S3Option finds an option of S3Options by its name.
func S3Option(name string) (Option, bool) {
	for _, o := range s3Options {
		if o.Name == name {
			return o, true
		}
	}
	return Option{}, false
}

// Known reports whether rclone knows an option of a remote of type s3, and whether
// s3mount acts on it. Files that both read may have all of them.
func Known(name string) (known, used bool) {
	if _, ok := S3Option(name); ok {
		return true, true
	}
	_, known = findOther(name)
	return known, false
}

// Nearest returns the option whose name is most like a mistyped one; empty if none is
// like it.
func Nearest(name string) string {
	best, least := "", 1+len(name)/3
	for _, o := range s3Options {
		if d := distance(strings.ToLower(name), o.Name); d < least {
			best, least = o.Name, d
		}
	}
	return best
}

// distance counts the letters to insert, remove or change to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := above
			if a[i] != b[j] {
				change++
			}
			above = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// IsSecret reports whether the value of a key is not to be shown: of an S3 option what
// the table says, else whatever sounds like a secret.
func IsSecret(key string) bool {
	if o, ok := S3Option(key); ok {
		return o.Secret
	}
	key = strings.ToLower(key)
	return slices.ContainsFunc([]string{"pass", "secret", "token", "key", "credential", "cookie", "auth"}, func(word string) bool {
		return strings.Contains(key, word)
	})
}

// IsPrivate reports whether the value of a key is no secret, but tells who its owner is.
func IsPrivate(key string) bool { return private[key] }

// Question returns the first sentence of the help.
func (o Option) Question() string {
	first, _, _ := strings.Cut(o.Help, "\n")
	return first
}

// Check returns what is wrong with a value, in words that follow the option's name;
// nil if nothing is. An empty value is always right. The error shows no secret.
func (o Option) Check(value string) error {
	if value == "" {
		return nil
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) {
		return fmt.Errorf("it has a character that can't be printed")
	}
	if o.Closed && !slices.ContainsFunc(o.Choices, func(c Choice) bool { return c.Value == value }) {
		return fmt.Errorf("%q is none of %s", value, o.values())
	}
	switch o.Type {
	case "tristate":
		if strings.EqualFold(value, "unset") {
			return nil
		}
		fallthrough
	case "bool":
		if _, err := strconv.ParseBool(strings.ToLower(value)); err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
	case "int":
		if n, err := strconv.Atoi(value); err != nil || n < 1 {
			return fmt.Errorf("%q is no number from 1 on", value)
		}
	case "size":
		if !sizeForm.MatchString(value) {
			return fmt.Errorf("%q is no size like 64Mi", value)
		}
	case "url":
		return checkEndpoint(value)
	}
	return nil
}

// sizeForm is a size as rclone writes it; a bare number is of KiB.
var sizeForm = regexp.MustCompile(`(?i)^[0-9]+(\.[0-9]+)?(b|[kmgtp](i|ib)?)?$`)

// values lists the choices.
func (o Option) values() string {
	var values []string
	for _, c := range o.Choices {
		if c.Value != "" {
			values = append(values, c.Value)
		}
	}
	return strings.Join(values, ", ")
}

// checkEndpoint refuses what can't be a host or URL.
func checkEndpoint(value string) error {
	text := value
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsAny(value, " \t"):
		return fmt.Errorf("it must be a host, host:port or a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("its scheme must be http or https")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("it may not have a user, a query or a fragment")
	}
	return nil
}

// providerOf tells whose store an endpoint is, by its host; empty if it can't be told.
func providerOf(endpoint string) string {
	if endpoint == "" {
		return ""
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	for _, h := range providerHosts {
		if host == h.domain || strings.HasSuffix(host, "."+h.domain) {
			return h.provider
		}
	}
	return ""
}
