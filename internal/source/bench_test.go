package source

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/stretchr/testify/require"
)

// BenchmarkPage reads and encodes pages of 500 rows of 12 columns.
func BenchmarkPage(b *testing.B) {
	e := newEnv(b, `CREATE TABLE u (shop BIGINT, id BIGINT, c1 VARCHAR(64), c2 VARCHAR(64), c3 INT, c4 DECIMAL(12,2), c5 VARCHAR(20),
		c6 DATETIME(6), c7 DATETIME, c8 INT, c9 DOUBLE, c10 JSON, c11 TINYINT, PRIMARY KEY (shop, id))`,
		`INSERT INTO u VALUES (1, 0, 'nickname of a user', 'https://img.example.com/a/1234567890.jpg', 12, 1234.5, '上海', NOW(6), NOW(), 98765, 4.5, '{"a":[1,2]}', 1)`)
	const rows = 1 << 16
	for n := 1; n < rows; n *= 2 {
		e.exec(b, fmt.Sprintf("INSERT INTO u SELECT shop, id + %d, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 FROM u", n))
	}
	bound := e.bind(b, dataset.Spec{Name: "u", Table: "u", Shop: "shop", By: []string{"id"}, Key: "u:{shop}:{id}",
		Columns: []string{"id", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11"}})
	var key, value []byte
	visit := func(row []sql.RawBytes) (_ bool, err error) {
		if key, err = bound.Encoder().AppendKey(key[:0], "1", row); err != nil {
			return false, err
		}
		value, err = bound.Encoder().AppendObject(value[:0], row)
		return true, err
	}
	cursor, total := "", 0
	b.ReportAllocs()
	for b.Loop() {
		page, err := bound.ReadPage(b.Context(), "1", cursor, "", 500, visit)
		require.NoError(b, err)
		total += page.Rows
		if cursor = page.Last; page.Done {
			cursor = ""
		}
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "rows/s")
}
