package s3remote

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answerError is an answer of the store that says that the request failed: a status
// that is no success, or an <Error> document under a status that is one. It is made
// below the SDK, which would lose most of it.
type answerError struct {
	status    int
	code      string // the store's code; may be empty (HEAD has no body)
	message   string
	requestID string
	region    string        // the right region, where the store tells it
	date      time.Time     // the store's clock; zero if it does not tell
	after     time.Duration // wait this long before the next try, at least
	size      int64         // of the object, with status 416; -1 if not told
	class     string        // the storage class of an archived object, if told
	about     string        // the key that the answer is about, if it is not that of the call
}

func (e *answerError) Error() string {
	text := e.message
	if text == "" {
		text = http.StatusText(e.status)
	}
	if text == "" {
		text = "no reason given"
	}
	return fmt.Sprintf("%s (HTTP %d)", text, e.status)
}

// errorDocument is the body of a failure. Fields of several forms of it are together.
type errorDocument struct {
	Code      string
	Message   string
	RequestID string `xml:"RequestId"`
	Region    string
	// StorageClass says where an archived object is.
	StorageClass string
}

// newAnswerError reads a failure from an answer's head and body.
func newAnswerError(resp *http.Response, body []byte) *answerError {
	e := &answerError{
		status:    resp.StatusCode,
		requestID: resp.Header.Get("X-Amz-Request-Id"),
		region:    resp.Header.Get("X-Amz-Bucket-Region"),
		after:     retryAfter(resp.Header.Get("Retry-After")),
		size:      -1,
	}
	e.date, _ = http.ParseTime(resp.Header.Get("Date"))
	if text, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes */"); ok {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			e.size = n
		}
	}
	// A body that is no such document (a proxy's page, nothing) leaves the fields
	// empty, and the status speaks.
	var doc errorDocument
	if xmlRoot(body) == "Error" && xml.Unmarshal(legalXML(body), &doc) == nil {
		e.code, e.message = oneLine(doc.Code), oneLine(doc.Message)
		e.class = oneLine(doc.StorageClass)
		if e.requestID == "" {
			e.requestID = oneLine(doc.RequestID)
		}
		if e.region == "" {
			e.region = doc.Region
		}
	}
	if !plausibleRegion(e.region) {
		e.region = ""
	}
	return e
}

// plausibleRegion reports whether s can be a region: it goes into host names.
func plausibleRegion(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// oneLine makes a store's text fit for a line of a log or a terminal.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(plainText(s)), " ")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}

// maxRetryAfter bounds what a store may ask for.
const maxRetryAfter = 30 * time.Second

// retryAfter reads a Retry-After header in seconds.
func retryAfter(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxRetryAfter)
}
