package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhichBinlogsAreReadAndAsWhom(t *testing.T) {
	t.Parallel()
	var none *Binlog
	require.False(t, none.Reads("main"))
	require.True(t, (&Binlog{}).Reads("main"))
	require.True(t, (&Binlog{Source: AllSources}).Reads("main"))
	require.True(t, (&Binlog{Source: "main"}).Reads("main"))
	require.False(t, (&Binlog{Source: "other"}).Reads("main"))

	require.EqualValues(t, 7, (&Binlog{ServerID: 7}).Server("root@tcp(a)/prewarm"))
	own := (&Binlog{}).Server("root:one@tcp(a)/prewarm")
	require.Equal(t, own, (&Binlog{}).Server("root:two@tcp(a)/prewarm"), "a new password is no other cluster")
	require.NotEqual(t, own, (&Binlog{}).Server("root:one@tcp(b)/prewarm"))
	require.GreaterOrEqual(t, own, uint32(1<<31))

	for source, wrong := range map[string]bool{"": false, "all": false, "main": false, "elsewhere": true} {
		var p problems
		p.feed(Config{Sources: map[string]Source{"main": {}}, Feed: Feed{Binlog: &Binlog{Source: source}}})
		require.Equal(t, wrong, len(p) > 0, source)
	}
}
