package vfs

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/s3mount/s3mount/internal/mtime"
	"github.com/s3mount/s3mount/object"
)

// Extended attributes of the user are kept in the object's user metadata, in two forms:
//
//   - s3fs's, which is written: one value, metaXattr, that is the URL-escaped JSON of names
//     and values in base64. Names are in one value since header names have no case.
//   - geesefs's, which is read: a name of metadata is the attribute's name without "user.",
//     and both are URL-escaped. So metadata that any client has stored is seen as well.
//
// An attribute that is there in the second form stays in it when it is changed.

const (
	metaXattr  = "xattr"
	userPrefix = "user."
	// factPrefix begins the names of an object's own facts, see xattrFacts.
	factPrefix = userPrefix + "s3mount."

	// maxUserMeta is how many bytes S3 takes of names and values of user metadata, and
	// sumReserve what is left of it for the content's sum, which commands add.
	maxUserMeta = 2048
	sumReserve  = 64
	// maxXattrName is XATTR_NAME_MAX, and maxXattrList less than XATTR_LIST_MAX.
	maxXattrName = 255
	maxXattrList = 60 << 10
)

// notXattrs are names of metadata that have a meaning of their own, here, to rclone, s3fs
// or geesefs.
var notXattrs = map[string]bool{
	mtime.Key: true, metaMode: true, metaUID: true, metaGID: true, metaXattr: true, metaGeesefsLink: true,
	object.MetaMD5: true, "rdev": true, "atime": true, "ctime": true, "btime": true,
}

// userXattrs returns the attributes that metadata holds, by name. What makes no sense as
// one is left out.
func userXattrs(m object.Meta) map[string]string {
	all := map[string]string{}
	for k, v := range m {
		if !notXattrs[k] {
			addXattr(all, userPrefix+percentDecode(k), percentDecode(v))
		}
	}
	maps.Copy(all, jsonXattrs(m))
	return all
}

func addXattr(all map[string]string, name, value string) {
	plain := strings.HasPrefix(name, userPrefix) && len(name) > len(userPrefix) && len(name) <= maxXattrName
	if plain && strings.IndexByte(name, 0) < 0 && !strings.HasPrefix(name, factPrefix) {
		all[name] = value
	}
}

// jsonXattrs returns the attributes in s3fs's form.
func jsonXattrs(m object.Meta) map[string]string {
	all := map[string]string{}
	var encoded map[string]string
	if v := m[metaXattr]; v == "" || json.Unmarshal([]byte(percentDecode(v)), &encoded) != nil {
		return all
	}
	for name, v := range encoded {
		if value, err := base64.StdEncoding.DecodeString(v); err == nil {
			addXattr(all, percentDecode(name), string(value))
		}
	}
	return all
}

// xattrNames returns the names of attributes in order, as many as the kernel takes.
func xattrNames(all map[string]string) []string {
	names := slices.Sorted(maps.Keys(all))
	total := 0
	for i, n := range names {
		if total += len(n) + 1; total > maxXattrList {
			return names[:i]
		}
	}
	return names
}

// withXattr returns metadata with an attribute set; nil removes it. The error is of
// KindAttrTooLarge for a value that S3 has no room for, and KindAttrSpace for one that
// it has none left for beside what is there.
func withXattr(m object.Meta, name string, value *string) (object.Meta, error) {
	m = m.Clone()
	all := jsonXattrs(m)
	foreign := foreignName(m, name)
	switch {
	case value == nil:
		delete(all, name)
		delete(m, foreign)
	case foreign != "":
		m[foreign] = percentEncode(*value)
	default:
		all[name] = *value
	}
	delete(m, metaXattr)
	if len(all) > 0 {
		m[metaXattr] = encodeXattrs(all)
	}
	if value == nil {
		return m, nil
	}
	if alone := encodeXattrs(map[string]string{name: *value}); len(alone) > maxUserMeta-sumReserve {
		return nil, object.Errorf(object.KindAttrTooLarge, "setxattr", name, "S3 keeps %d bytes of attributes", maxUserMeta)
	}
	if sizeOfMeta(m) > maxUserMeta-sumReserve {
		return nil, object.Errorf(object.KindAttrSpace, "setxattr", name, "S3 keeps %d bytes of attributes", maxUserMeta)
	}
	return m, nil
}

// foreignName returns the name of the metadata that is an attribute in geesefs's form,
// empty if there is none.
func foreignName(m object.Meta, name string) string {
	if _, ours := jsonXattrs(m)[name]; ours {
		return ""
	}
	for k := range m {
		if !notXattrs[k] && userPrefix+percentDecode(k) == name {
			return k
		}
	}
	return ""
}

// encodeXattrs is s3fs's form. Names are escaped in the JSON, too: s3fs reads them as they
// stand, up to the next quote.
func encodeXattrs(all map[string]string) string {
	encoded := map[string]string{}
	for name, value := range all {
		encoded[percentEncode(name)] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	text, _ := json.Marshal(encoded) // strings of ASCII always can
	return percentEncode(string(text))
}

// percentEncode escapes all bytes but letters, digits and a few that mean nothing in a
// header, in JSON or in a URL.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// sizeOfMeta is what S3 counts of metadata, all of it in ASCII; values that are not go in
// encoded words, of which 45 bytes take 75 at most.
func sizeOfMeta(m object.Meta) (n int) {
	for k, v := range m {
		n += len(k) + len(v)
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			n += len(v) + 76
		}
	}
	return n
}
