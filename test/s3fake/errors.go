package s3fake

import "net/http"

// apiError is an answer of S3 that is not a success.
type apiError struct {
	code    string
	message string
	// region is told with PermanentRedirect and AuthorizationHeaderMalformed.
	region string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func (e *apiError) status() int {
	if s := statuses[e.code]; s != 0 {
		return s
	}
	return http.StatusBadRequest
}

// fail makes an error of a code; statuses knows its HTTP status, 400 if it doesn't.
func fail(code, message string) *apiError { return &apiError{code: code, message: message} }

var statuses = map[string]int{
	"AccessDenied":              403,
	"BucketAlreadyOwnedByYou":   409,
	"BucketNotEmpty":            409,
	"ExpiredToken":              400,
	"InsufficientStorage":       507,
	"InternalError":             500,
	"InvalidAccessKeyId":        403,
	"InvalidObjectState":        403,
	"InvalidRange":              416,
	"MethodNotAllowed":          405,
	"MissingContentLength":      411,
	"NoSuchBucket":              404,
	"NoSuchKey":                 404,
	"NoSuchUpload":              404,
	"NotImplemented":            501,
	"NotModified":               304,
	"PermanentRedirect":         301,
	"PreconditionFailed":        412,
	"QuotaExceeded":             403,
	"RequestTimeTooSkewed":      403,
	"ServiceUnavailable":        503,
	"SignatureDoesNotMatch":     403,
	"SlowDown":                  503,
	"OperationAborted":          409,
	"InvalidBucketState":        409,
	"AuthorizationQueryInvalid": 400,
}

var (
	errNoBucket     = fail("NoSuchBucket", "There is no such bucket.")
	errNoKey        = fail("NoSuchKey", "There is no such key.")
	errNoUpload     = fail("NoSuchUpload", "There is no such upload.")
	errPrecondition = fail("PreconditionFailed", "A condition of the request did not hold.")
	errNotModified  = fail("NotModified", "")
	errMalformed    = fail("MalformedXML", "The XML is not what the operation takes.")
	errUnknown      = fail("NotImplemented", "This stand-in does not know the operation")
)
