package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/s3mount/s3mount/object"
)

// Other is an option of rclone 1.76 for a remote of type s3 that s3mount does not act
// on. It may stand in a file that both read.
//
// What would change which bytes are stored or seen, under which names, how they are
// protected, or who asks for them, is refused: to go on without would do something else
// than was asked for. What only changes how the same is done is passed over, with a
// warning.
type Other struct {
	Name    string
	Refused bool
	// Why is why it is refused, or what s3mount does instead.
	Why string
	// same are values that ask for what s3mount does anyway; an empty one always does.
	same []string
}

// Asks reports whether a value asks for something that s3mount does not do.
func (o Other) Asks(value string) bool {
	if value == "" || slices.ContainsFunc(o.same, func(s string) bool { return s == whatever || strings.EqualFold(s, value) }) {
		return false
	}
	if off, err := strconv.ParseBool(strings.ToLower(value)); err == nil && !off {
		return !slices.Contains(o.same, "false") // "0" and "f" are rclone's, too
	}
	return true
}

// whatever is every value.
const whatever = "*"

// others is the table of them. What a value means is rclone's: see rclone help backend s3.
var others = []Other{
	{Name: "versions", Refused: true, same: []string{"false"}, Why: "only the newest version of an object is shown"},
	{Name: "version_at", Refused: true, same: []string{"off"}, Why: "only the newest version of an object is shown"},
	{Name: "version_deleted", Refused: true, same: []string{"false"}, Why: "only objects that are there are shown"},
	{Name: "directory_bucket", Refused: true, same: []string{"false"}, Why: "directory buckets list keys in no order, which every command relies on"},
	{Name: "encoding", Refused: true, same: []string{"Slash,InvalidUtf8,Dot"}, Why: "keys are stored as rclone's default encoding has them, and another one gives files other names"},
	{Name: "object_lock_mode", Refused: true, Why: "objects are stored without retention"},
	{Name: "object_lock_retain_until_date", Refused: true, Why: "objects are stored without retention"},
	{Name: "object_lock_legal_hold_status", Refused: true, same: []string{"OFF"}, Why: "objects are stored without a legal hold"},
	{Name: "ibm_api_key", Refused: true, Why: "IBM's own sign-in is not known: use HMAC keys as access_key_id and secret_access_key"},
	{Name: "ibm_resource_instance_id", Refused: true, Why: "IBM's own sign-in is not known: use HMAC keys as access_key_id and secret_access_key"},

	{Name: "ibm_iam_endpoint", Why: "IBM's own sign-in is not known"},
	{Name: "max_upload_parts", same: []string{"10000"}, Why: "a file has up to 10,000 parts; a larger chunk_size makes them fewer"},
	{Name: "leave_parts_on_error", same: []string{"false"}, Why: "the parts of an upload that failed are removed"},
	{Name: "no_head_object", same: []string{whatever}, Why: "no HEAD goes before a GET"},
	{Name: "directory_markers", same: []string{"false"}, Why: "copies make no objects for empty folders; the mount makes one where mkdir does"},
	{Name: "decompress", same: []string{"false"}, Why: "objects are read as they are stored"},
	{Name: "might_gzip", same: []string{whatever}, Why: "objects are asked for as they are stored"},
	{Name: "use_accept_encoding_gzip", same: []string{"false", "unset"}, Why: "objects are asked for as they are stored"},
	{Name: "sign_accept_encoding", same: []string{"false", "unset"}, Why: "no Accept-Encoding is sent"},
	{Name: "use_x_id", same: []string{"true", "unset"}, Why: "requests tell their operation as x-id"},
	{Name: "download_url", Why: "objects are read from the endpoint"},
	{Name: "disable_http2", same: []string{whatever}, Why: "HTTP/2 is never used"},
	{Name: "use_unsigned_payload", same: []string{"false", "unset"}, Why: "the signature covers what is sent, or the CRC32C of a part"},
	{Name: "use_presigned_request", same: []string{"false"}, Why: "requests are signed in their headers"},
	{Name: "use_already_exists", same: []string{whatever}, Why: "a bucket of your own that is there already is no error"},
	{Name: "use_arn_region", same: []string{"false"}, Why: "a bucket is named by its name, not by an ARN"},
	{Name: "no_system_metadata", same: []string{"false"}, Why: "of system metadata the content type is written and kept"},
	{Name: "bypass_governance_retention", same: []string{"false"}, Why: "what is under retention is not deleted"},
	{Name: "object_lock_set_after_upload", same: []string{"false"}, Why: "objects are stored without retention"},
	{Name: "object_lock_supported", same: []string{whatever}, Why: "objects are stored without retention"},
	{Name: "list_versions_oldest_first", same: []string{whatever}, Why: "versions are not listed"},
	{Name: "sdk_log_mode", same: []string{"off"}, Why: "--log-level debug shows what is repeated"},
	{Name: "memory_pool_flush_time", same: []string{whatever}, Why: "it does nothing in rclone either"},
	{Name: "memory_pool_use_mmap", same: []string{whatever}, Why: "it does nothing in rclone either"},
	{Name: "description", same: []string{whatever}, Why: "it is a text for people"},
}

// Others returns the options of rclone that s3mount does not act on.
func Others() []Other { return slices.Clone(others) }

// findOther finds an option of Others.
func findOther(name string) (Other, bool) {
	i := slices.IndexFunc(others, func(o Other) bool { return o.Name == name })
	if i < 0 {
		return Other{}, false
	}
	return others[i], true
}

// Refusal returns an error of KindUnsupported for the first option whose value s3mount
// refuses; nil if there is none. get returns "" for what is not set.
func Refusal(get func(key string) string) error {
	for _, o := range others {
		if o.Refused && o.Asks(get(o.Name)) {
			return object.Errorf(object.KindUnsupported, "option", o.Name, "s3mount does not have it: %s", o.Why)
		}
	}
	return nil
}

// PassedOver returns a line for each option whose value s3mount passes over although it
// asks for something. It holds no value.
func PassedOver(get func(key string) string) []string {
	var lines []string
	for _, o := range others {
		if !o.Refused && o.Asks(get(o.Name)) {
			lines = append(lines, fmt.Sprintf("%s is passed over: %s", o.Name, o.Why))
		}
	}
	return lines
}
