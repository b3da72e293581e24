package s3remote

import (
	"net/http"

	"github.com/s3mount/s3mount/object"
)

// retry says whether the same request may work a little later.
type retry uint8

const (
	never  retry = iota
	few          // it may be the line's fault: a few times
	always       // until the deadline
)

// meaning is what a code or a status stands for.
type meaning struct {
	kind  object.Kind
	retry retry
}

// codes is the one table from the codes of S3 and of the stores that speak it.
var codes = map[string]meaning{
	"NoSuchKey": {object.KindNotFound, never}, "NoSuchUpload": {object.KindNotFound, never},
	"NoSuchVersion": {object.KindNotFound, never}, "NotFound": {object.KindNotFound, never},
	"NoSuchBucket": {object.KindNoBucket, never}, "NoSuchBucketException": {object.KindNoBucket, never},

	"BucketAlreadyExists": {object.KindExists, never}, "BucketAlreadyOwnedByYou": {object.KindExists, never},
	"BucketNotEmpty":                {object.KindNotEmpty, never},
	"XMinioObjectExistsAsDirectory": {object.KindIsDir, never}, "XMinioParentIsObject": {object.KindNotDir, never},
	"ObjectParentIsFile": {object.KindNotDir, never}, "ExistingObjectIsDirectory": {object.KindIsDir, never},

	"PreconditionFailed": {object.KindConflict, never}, "ConditionalRequestConflict": {object.KindConflict, few},
	"OperationAborted": {object.KindUnavailable, always}, "ConcurrentModification": {object.KindUnavailable, always},

	"AccessDenied": {object.KindPermission, never}, "AllAccessDisabled": {object.KindPermission, never},
	"AccountProblem": {object.KindPermission, never}, "UserSuspended": {object.KindPermission, never},
	"InvalidPayer": {object.KindPermission, never}, "AccessControlListNotSupported": {object.KindUnsupported, never},

	"InvalidAccessKeyId": {object.KindCredentials, never}, "SignatureDoesNotMatch": {object.KindCredentials, never},
	"ExpiredToken": {object.KindCredentials, never}, "InvalidToken": {object.KindCredentials, never},
	"TokenRefreshRequired": {object.KindCredentials, never}, "InvalidSecurity": {object.KindCredentials, never},
	"XAdminUserNotFound": {object.KindCredentials, never}, "NotSignedUp": {object.KindCredentials, never}, "MissingSecurityHeader": {object.KindCredentials, never},
	"CredentialsNotSupported": {object.KindCredentials, never}, "AuthorizationQueryParametersError": {object.KindCredentials, never},

	"RequestTimeTooSkewed": {object.KindClockSkew, never}, "RequestExpired": {object.KindClockSkew, never},

	"PermanentRedirect": {object.KindWrongRegion, never}, "TemporaryRedirect": {object.KindWrongRegion, never},
	"Redirect": {object.KindWrongRegion, never}, "AuthorizationHeaderMalformed": {object.KindWrongRegion, never},
	"IncorrectEndpoint": {object.KindWrongRegion, never}, "IllegalLocationConstraintException": {object.KindWrongRegion, never},

	"InvalidObjectState": {object.KindArchived, never}, "RestoreAlreadyInProgress": {object.KindArchived, never},
	"ObjectNotInActiveTierError": {object.KindArchived, never},

	"InvalidArgument": {object.KindInvalid, never}, "InvalidRequest": {object.KindInvalid, never},
	"InvalidBucketName": {object.KindInvalid, never}, "InvalidLocationConstraint": {object.KindInvalid, never},
	"InvalidRange": {object.KindInvalid, never}, "InvalidPart": {object.KindInvalid, never},
	"InvalidPartOrder": {object.KindInvalid, never}, "EntityTooSmall": {object.KindInvalid, never},
	"InvalidStorageClass": {object.KindInvalid, never}, "InvalidURI": {object.KindInvalid, never},
	"MalformedXML": {object.KindInvalid, never}, "MissingContentLength": {object.KindInvalid, never},
	"XMinioInvalidObjectName": {object.KindInvalid, never}, "XMinioInvalidResourceName": {object.KindInvalid, never},
	"KeyTooLongError": {object.KindNameTooLong, never}, "KeyTooLong": {object.KindNameTooLong, never},
	"EntityTooLarge": {object.KindTooLarge, never}, "MetadataTooLarge": {object.KindTooLarge, never},
	"MaxMessageLengthExceeded": {object.KindTooLarge, never},

	"QuotaExceeded": {object.KindQuota, never}, "TooManyBuckets": {object.KindQuota, never},
	"XMinioStorageFull": {object.KindQuota, never}, "XMinioAdminBucketQuotaExceeded": {object.KindQuota, never},
	"InsufficientStorage": {object.KindQuota, never},

	"NotImplemented": {object.KindUnsupported, never}, "MethodNotAllowed": {object.KindUnsupported, never},
	"UnsupportedOperation": {object.KindUnsupported, never},

	// A checksum that does not fit: the bytes suffered on the way, or the store
	// reckons otherwise. A few tries tell which.
	"BadDigest": {object.KindCorrupt, few}, "XAmzContentSHA256Mismatch": {object.KindCorrupt, few},
	"InvalidDigest": {object.KindCorrupt, few}, "XAmzContentChecksumMismatch": {object.KindCorrupt, few},
	"IncompleteBody": {object.KindUnavailable, always}, "RequestTimeout": {object.KindUnavailable, always},

	"InternalError": {object.KindUnavailable, always}, "ServiceUnavailable": {object.KindUnavailable, always},
	"SlowDown": {object.KindUnavailable, always}, "SlowDownRead": {object.KindUnavailable, always},
	"SlowDownWrite": {object.KindUnavailable, always}, "Busy": {object.KindUnavailable, always},
	"Throttling": {object.KindUnavailable, always}, "ThrottlingException": {object.KindUnavailable, always},
	"TooManyRequests": {object.KindUnavailable, always}, "RequestLimitExceeded": {object.KindUnavailable, always},
	"BandwidthLimitExceeded": {object.KindUnavailable, always}, "PriorRequestNotComplete": {object.KindUnavailable, always},
	"XMinioServerNotInitialized": {object.KindUnavailable, always}, "XMinioBackendDown": {object.KindUnavailable, always},
}

// statuses is for answers whose code is missing or unknown: to HEAD, from a proxy,
// or from a store with codes of its own.
var statuses = map[int]meaning{
	http.StatusMovedPermanently: {object.KindWrongRegion, never}, http.StatusFound: {object.KindWrongRegion, never},
	http.StatusTemporaryRedirect: {object.KindWrongRegion, never}, http.StatusPermanentRedirect: {object.KindWrongRegion, never},
	http.StatusBadRequest: {object.KindInvalid, never}, http.StatusUnauthorized: {object.KindCredentials, never},
	http.StatusForbidden: {object.KindPermission, never}, http.StatusNotFound: {object.KindNotFound, never},
	http.StatusGone: {object.KindNotFound, never}, http.StatusMethodNotAllowed: {object.KindUnsupported, never},
	http.StatusConflict: {object.KindConflict, never}, http.StatusPreconditionFailed: {object.KindConflict, never},
	http.StatusRequestTimeout: {object.KindUnavailable, always}, http.StatusTooManyRequests: {object.KindUnavailable, always},
	http.StatusRequestEntityTooLarge: {object.KindTooLarge, never}, http.StatusRequestURITooLong: {object.KindNameTooLong, never},
	http.StatusLengthRequired: {object.KindInvalid, never}, http.StatusRequestedRangeNotSatisfiable: {object.KindInvalid, never},
	http.StatusRequestHeaderFieldsTooLarge: {object.KindTooLarge, never},
	http.StatusNotImplemented:              {object.KindUnsupported, never}, http.StatusInsufficientStorage: {object.KindQuota, never},
	http.StatusProxyAuthRequired: {object.KindUnavailable, never},
}

// meaningOf finds what an answer stands for.
func meaningOf(status int, code string) meaning {
	if m, ok := codes[code]; ok {
		return m
	}
	if m, ok := statuses[status]; ok {
		return m
	}
	switch {
	case status >= 500 || status < 300: // an <Error> under a success is a 500
		return meaning{object.KindUnavailable, always}
	case status >= 400:
		return meaning{object.KindInvalid, never}
	}
	return meaning{object.KindOther, never}
}
