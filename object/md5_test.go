package object

import "testing"

func TestMD5(t *testing.T) {
	const sum, coded = "8d777f385d3dfec8815d20f7496026dc", "jXd/OF09/siBXSD3SWAm3A=="
	for _, c := range []struct {
		etag, meta string
		other      bool
		want       string
	}{
		{sum, "", false, sum}, {"8D777F385D3DFEC8815D20F7496026DC", "", false, sum},
		{sum, coded, false, sum},
		{"00000000000000000000000000000000", coded, true, sum}, // encrypted: the ETag is another thing
		{sum, "", true, ""},
		{sum + "-3", coded, false, sum}, {sum + "-3", "", false, ""}, // of parts
		{"x", "AAAA", false, ""}, {"", "?", false, ""}, {"", "", false, ""},
	} {
		i := Info{ETag: c.etag, OtherETag: c.other}
		if c.meta != "" {
			i.Meta = Meta{MetaMD5: c.meta}
		}
		if got, ok := i.MD5(); got != c.want || ok != (c.want != "") {
			t.Errorf("%+v: %q, %v", c, got, ok)
		}
	}
}
