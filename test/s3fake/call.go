package s3fake

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// call is one request on its way through the server.
type call struct {
	s      *Server
	w      *answer
	r      *http.Request
	q      url.Values
	op     Op
	bucket string
	key    string
	fault  *Fault // nil: none
}

// handlers has an entry for every operation that the server knows.
var handlers = map[Op]func(*call) error{
	ListBuckets:       (*call).listBuckets,
	CreateBucket:      (*call).createBucket,
	HeadBucket:        (*call).headBucket,
	DeleteBucket:      (*call).deleteBucket,
	GetBucketLocation: (*call).bucketLocation,
	ListObjects:       (*call).listV1,
	ListObjectsV2:     (*call).listV2,
	DeleteObjects:     (*call).deleteObjects,
	PutObject:         (*call).putObject,
	GetObject:         (*call).getObject,
	HeadObject:        (*call).headObject,
	DeleteObject:      (*call).deleteObject,
	CopyObject:        (*call).copyObject,
	CreateUpload:      (*call).createUpload,
	UploadPart:        (*call).uploadPart,
	UploadPartCopy:    (*call).uploadPartCopy,
	CompleteUpload:    (*call).completeUpload,
	AbortUpload:       (*call).abortUpload,
	ListUploads:       (*call).listUploads,
	ListParts:         (*call).listParts,
}

// errCut says that a fault has ended the answer: there is nobody to tell anything.
var errCut = errors.New("s3fake: cut off by the fault plan")

// serve answers one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		return
	}
	defer s.active.Done()
	c := &call{s: s, r: r, q: r.URL.Query()}
	c.bucket, c.key = split(r.URL.Path)
	c.op = operation(r, c.bucket, c.key, c.q)
	c.fault = s.faults.pick(c.op, c.key)
	c.w = newAnswer(w, r, s.ctx)
	c.w.id = fmt.Sprintf("S3FAKE%010X", s.requests.Add(1))

	s.stats.begin(c.op, c.fault != nil)
	defer s.stats.end(c.op)
	done := s.trace.begin(c.line)
	defer func() { done(c.w.status) }()
	defer func() { s.stats.bytes(c.w.in, c.w.out) }()

	c.w.Header().Set("X-Amz-Request-Id", c.w.id)
	c.w.Header().Set("X-Amz-Id-2", "s3fake")
	c.w.Header().Set("Server", "s3fake")
	if err := c.run(); err != nil && !errors.Is(err, errCut) {
		c.tell(err)
	}
	c.w.finish()
}

// run does the operation, or what the fault plan makes of it.
func (c *call) run() error {
	if !c.late() {
		c.pause()
	}
	if err, over := c.failFirst(); over {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	h := handlers[c.op]
	if h == nil {
		return errUnknown
	}
	return h(c)
}

// late reports whether the operation's latency comes after its body.
func (c *call) late() bool { return c.op == PutObject || c.op == UploadPart }

// pause waits for the operation's latency.
func (c *call) pause() {
	pause(c.s.latency.Load().of(c.op), c.r.Context(), c.s.ctx)
}

// check does what S3 looks at before it looks at the operation.
func (c *call) check() error {
	if want := c.s.opts.AccessKey; want != "" {
		switch got := accessKey(c.r); got {
		case want:
		case "":
			return fail("AccessDenied", "Access Denied")
		default:
			return fail("InvalidAccessKeyId", "Nobody has this access key.")
		}
	}
	if !utf8.ValidString(c.key) {
		return fail("InvalidURI", "The key is not valid UTF-8.")
	}
	if len(c.key) > 1024 {
		return fail("KeyTooLongError", "The key is longer than 1024 bytes.")
	}
	return nil
}

// accessKey returns the access key that a request claims to be signed with.
func accessKey(r *http.Request) string {
	if v4 := r.URL.Query().Get("X-Amz-Credential"); v4 != "" {
		key, _, _ := strings.Cut(v4, "/")
		return key
	}
	auth := r.Header.Get("Authorization")
	if v2, ok := strings.CutPrefix(auth, "AWS "); ok {
		key, _, _ := strings.Cut(v2, ":")
		return key
	}
	_, v4, _ := strings.Cut(auth, "Credential=")
	key, _, _ := strings.Cut(v4, "/")
	return key
}

// tell answers with an error.
func (c *call) tell(err error) {
	var e *apiError
	if !errors.As(err, &e) {
		e = fail("InternalError", err.Error())
	}
	if c.w.status != 0 {
		return // too late: the answer has begun
	}
	if e.region != "" {
		c.w.Header().Set("X-Amz-Bucket-Region", e.region)
	}
	if e.code == "NotModified" || c.r.Method == http.MethodHead {
		c.w.WriteHeader(e.status())
		return
	}
	c.xml(e.status(), c.errorXML(e))
}

type errorXML struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Region    string `xml:",omitempty"`
	Resource  text
	RequestID string `xml:"RequestId"`
	HostID    string `xml:"HostId"`
}

func (c *call) errorXML(e *apiError) errorXML {
	return errorXML{
		Code: e.code, Message: e.message, Region: e.region,
		Resource: plain("/" + c.bucket + "/" + c.key), RequestID: c.w.id, HostID: "s3fake",
	}
}

// xml answers with a document.
func (c *call) xml(status int, doc any) error {
	b, err := xml.Marshal(doc)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(xml.Header)+len(b)))
	c.w.WriteHeader(status)
	_, err = c.w.Write(append([]byte(xml.Header), b...))
	return err
}

// readXML reads the request's body into doc.
func (c *call) readXML(doc any) error {
	b, err := io.ReadAll(io.LimitReader(c.r.Body, 4<<20))
	if err != nil {
		return fail("IncompleteBody", "The body ended early")
	}
	if err := xml.Unmarshal(b, doc); err != nil {
		return errMalformed
	}
	return nil
}

// line is the request as Trace tells it.
func (c *call) line() string {
	words := []string{string(c.op), c.key}
	if c.key == "" {
		words[1] = c.q.Get("prefix")
	}
	if from := c.r.Header.Get("X-Amz-Copy-Source"); from != "" {
		words = append(words, "from="+strings.TrimPrefix(from, "/"+c.bucket+"/"))
	}
	for _, h := range []string{"Range", "X-Amz-Copy-Source-Range"} {
		if v := c.r.Header.Get(h); v != "" {
			words = append(words, strings.TrimPrefix(v, "bytes="))
		}
	}
	params := []struct{ name, query string }{
		{"part", "partNumber"}, {"delimiter", "delimiter"}, {"after", "start-after"},
		{"after", "marker"}, {"max", "max-keys"},
	}
	for _, p := range params {
		if v := c.q.Get(p.query); v != "" {
			words = append(words, p.name+"="+v)
		}
	}
	if c.q.Has("continuation-token") {
		words = append(words, "continued")
	}
	return strings.Join(words, " ")
}

// text is a string in XML. Control characters are told as character references, as
// S3 does, though XML 1.0 does not allow them.
type text struct {
	Raw string `xml:",innerxml"`
}

func plain(s string) text {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, "&#x%x;", r)
		default:
			b.WriteRune(r)
		}
	}
	return text{b.String()}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
