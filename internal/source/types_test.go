package source

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/stretchr/testify/require"
)

// types are columns of every type, with values at their edges, as SQL. how says what the JSON must be: "number" or "text"
// (the server's own text of the value, quoted for text), "base64", "nested".
var types = []struct {
	name, declared, how string
	values              []string
}{
	{"i8", "TINYINT", "number", []string{"-128", "127"}},
	{"u8", "TINYINT UNSIGNED", "number", []string{"0", "255"}},
	{"yes", "BOOL", "number", []string{"TRUE", "FALSE"}},
	{"i16", "SMALLINT", "number", []string{"-32768", "32767"}},
	{"i24", "MEDIUMINT", "number", []string{"-8388608", "8388607"}},
	{"u24", "MEDIUMINT UNSIGNED", "number", []string{"16777215"}},
	{"i32", "INT", "number", []string{"-2147483648", "2147483647"}},
	{"u32", "INT UNSIGNED", "number", []string{"4294967295"}},
	{"i64", "BIGINT", "number", []string{"-9223372036854775808", "9223372036854775807"}},
	{"u64", "BIGINT UNSIGNED", "number", []string{"18446744073709551615", "9007199254740993"}},
	{"y", "YEAR", "number", []string{"2026", "0", "1901"}},
	{"f", "FLOAT", "float", []string{"1.234567", "-0.1", "3.4e38", "1e-30", "16777216"}},
	{"d", "DOUBLE", "float", []string{"0.1", "1.7976931348623157e308", "5e-324", "1234567.25", "1e15", "1e14", "-1e-5"}},
	{"dec1", "DECIMAL(65,30)", "text", []string{"12345678901234567890123456789012345.123456789012345678901234567890", "-0.5"}},
	{"dec2", "NUMERIC(10,2)", "text", []string{"1.5", "0", "-99999999.99"}},
	{"b1", "BIT(1)", "bit", []string{"b'1'", "b'0'"}},
	{"b64", "BIT(64)", "bit", []string{"18446744073709551615", "258"}},
	{"day", "DATE", "text", []string{"'2026-02-28'", "'1000-01-01'", "'9999-12-31'"}},
	{"t0", "TIME", "text", []string{"'838:59:59'", "'-00:00:01'"}},
	{"t6", "TIME(6)", "text", []string{"'-12:34:56.000007'"}},
	{"dt0", "DATETIME", "text", []string{"'2026-01-02 03:04:05'"}},
	{"dt6", "DATETIME(6)", "text", []string{"'2026-01-02 03:04:05.000006'", "'2026-01-02 03:04:05'"}},
	{"ts3", "TIMESTAMP(3) NULL", "text", []string{"'2026-07-01 12:00:00.120'"}},
	{"c", "CHAR(10)", "text", []string{"'ab  '", "''"}},
	{"vc", "VARCHAR(50)", "text", []string{`'直播 🎬 "q" \\ \n\t\0 </script>'`, "'NULL'", "' '"}},
	{"latin", "VARCHAR(50) CHARACTER SET latin1", "text", []string{"'é€ß'"}},
	{"txt", "MEDIUMTEXT", "text", []string{"REPEAT('é', 100000)"}},
	{"e", "ENUM('a','b c','é')", "text", []string{"'é'", "'b c'"}},
	{"s", "SET('x','y','z')", "text", []string{"'z,x'", "''"}},
	{"j", "JSON", "nested", []string{`'{"a": [1, 2.50, "<é\\u00e9>", null], "b": {}}'`, "'null'", "'18446744073709551615'"}},
	{"bin", "BINARY(4)", "base64", []string{"0x00FF22", "'ab'"}},
	{"vbin", "VARBINARY(20)", "base64", []string{"0x00FF27225C0A", "''"}},
	{"blb", "BLOB", "base64", []string{"REPEAT(0xFF, 1000)"}},
	{"geo", "POINT", "base64", []string{"ST_GeomFromText('POINT(1 2)')"}},
}

func typesEnv(t *testing.T) (*env, dataset.Spec) {
	t.Helper()
	create := "CREATE TABLE t (shop INT NOT NULL, id INT NOT NULL"
	var names []string
	for _, c := range types {
		create += ", " + c.name + " " + c.declared
		names = append(names, c.name)
	}
	e := newEnv(t, create+", PRIMARY KEY (shop, id))")
	for row := range 8 {
		values := []string{"1", strconv.Itoa(row)}
		for _, c := range types {
			v := "NULL"
			if row < 7 {
				v = c.values[row%len(c.values)]
			}
			values = append(values, v)
		}
		e.exec(t, "INSERT INTO t VALUES ("+strings.Join(values, ", ")+")")
	}
	return e, dataset.Spec{Name: "t", Table: "t", Shop: "shop", By: []string{"id"}, Columns: names, Key: "t:{shop}:{id}"}
}

// serverText is the server's own text of each value, or what it must be made into, by id and column.
func serverText(t *testing.T, e *env, how map[string]string) []map[string]*string {
	t.Helper()
	var selects []string
	for _, c := range types {
		var expression string
		switch how[c.name] {
		case "base64":
			expression = "CAST(" + c.name + " AS BINARY)" // raw
		case "bit":
			expression = "CAST(" + c.name + " + 0 AS CHAR)"
		case "float":
			expression = "CONCAT(" + c.name + " + 0e0)"
		default:
			expression = "CAST(" + c.name + " AS CHAR)"
		}
		selects = append(selects, expression)
	}
	conn, err := e.write.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "SET time_zone = '+00:00'")
	require.NoError(t, err)
	rows, err := conn.QueryContext(t.Context(), "SELECT "+strings.Join(selects, ", ")+" FROM t ORDER BY id")
	require.NoError(t, err)
	defer rows.Close()
	var all []map[string]*string
	require.NoError(t, eachRow(rows, func(_ []string, row []sql.RawBytes) {
		m := map[string]*string{}
		for i, c := range types {
			if row[i] != nil {
				s := string(row[i])
				m[c.name] = &s
			}
		}
		all = append(all, m)
	}))
	return all
}

func TestEveryTypeIsWrittenAsTheServerWritesIt(t *testing.T) {
	t.Parallel()
	e, table := typesEnv(t)
	var names []string
	how := map[string]string{}
	for _, c := range types {
		how[c.name] = c.how
		expression := c.name
		if c.declared == "FLOAT" {
			expression += " + 0e0 AS " + c.name
		}
		names = append(names, expression)
	}
	want := serverText(t, e, how)
	query := dataset.Spec{Name: "q", Query: "SELECT " + strings.Join(names, ", ") + ", id FROM t WHERE shop = :shop ORDER BY id",
		Key: "t:{shop}:{id}"}
	for form, spec := range map[string]dataset.Spec{"table": table, "query": query} {
		var objects []map[string]json.RawMessage
		var texts []map[string]*string
		b := e.bind(t, spec)
		rows := readAll(t, b, "1", func(row []sql.RawBytes) {
			objects = append(objects, objectOf(t, b, row))
			texts = append(texts, textsOf(t, b, row))
		})
		require.Equal(t, len(want), rows)
		for i, row := range want {
			for _, c := range types {
				at := fmt.Sprintf("%s form, row %d, column %s", form, i, c.name)
				if row[c.name] == nil {
					require.Equal(t, "null", string(objects[i][c.name]), at)
					require.Nil(t, texts[i][c.name], at)
					continue
				}
				require.NotNil(t, texts[i][c.name], at)
				checkValue(t, at, c.how, *row[c.name], string(objects[i][c.name]), *texts[i][c.name])
			}
		}
	}
}

func TestAPageIsTheSameWhenItsStatementIsPrepared(t *testing.T) {
	t.Parallel()
	e, spec := typesEnv(t)
	conn, err := e.db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	e.exec(t, "INSERT IGNORE INTO t (shop, id, day, t0, t6, dt0, dt6, ts3) VALUES (1, 8, '0000-00-00', '00:00:00', '00:00:00', '0000-00-00', '2026-01-02', '0000-00-00')")
	b := e.bind(t, spec).On(conn)
	var first [][]sql.RawBytes
	for n := range 4 {
		var rows [][]sql.RawBytes
		_, err := b.ReadPage(t.Context(), "1", `["0"]`, `["8"]`, 10, func(row []sql.RawBytes) (bool, error) {
			copied := make([]sql.RawBytes, len(row))
			for i, v := range row {
				copied[i] = slices.Clone(v)
			}
			rows = append(rows, copied)
			return true, nil
		})
		require.NoError(t, err)
		require.Len(t, rows, 8)
		if n == 0 {
			first = rows
		}
		for i, row := range rows {
			for k, c := range b.Encoder().Columns() {
				require.Equal(t, first[i][k], row[k], "row %d, column %s", i, c)
			}
		}
	}
	var executed int
	require.NoError(t, conn.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Com_stmt_execute'").Scan(new(string), &executed))
	require.Equal(t, 3, executed)
}

func objectOf(t *testing.T, b *Bound, row []sql.RawBytes) (object map[string]json.RawMessage) {
	t.Helper()
	out, err := b.Encoder().AppendObject(nil, row)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &object))
	return object
}

func textsOf(t *testing.T, b *Bound, row []sql.RawBytes) map[string]*string {
	t.Helper()
	texts := map[string]*string{}
	for i, name := range b.Encoder().Columns() {
		raw, ok, err := b.Encoder().AppendText(nil, i, row)
		require.NoError(t, err)
		if ok {
			s := string(raw)
			texts[name] = &s
		}
	}
	return texts
}

func checkValue(t *testing.T, at, how, server, object, text string) {
	t.Helper()
	switch how {
	case "number", "bit":
		if server == "0000" { // YEAR
			server = "0"
		}
		require.Equal(t, server, object, at)
	case "float":
		require.Equal(t, bitsOf(t, server), bitsOf(t, object), at)
	case "nested":
		require.True(t, json.Valid([]byte(object)), at)
		require.Equal(t, server, object, at)
	case "base64":
		raw, err := base64.StdEncoding.DecodeString(strings.Trim(object, `"`))
		require.NoError(t, err, at)
		require.Equal(t, server, string(raw), at)
	default:
		var s string
		require.NoError(t, json.Unmarshal([]byte(object), &s), at)
		require.Equal(t, server, s, at)
	}
	require.Equal(t, server, text, at)
}

func TestFloatsOfTheQueryFormHaveTheServersText(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "CREATE TABLE f (shop INT, id INT, d DOUBLE)")
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		d := (r.Float64() - 0.5) * math.Pow(10, float64(r.IntN(80)-40))
		if i%2 == 0 {
			d = math.Pow(10, float64(r.IntN(40)-20)) * float64(r.IntN(1000))
		}
		_, err := e.write.ExecContext(t.Context(), "INSERT INTO f VALUES (1, ?, ?)", i, d)
		require.NoError(t, err)
	}
	b := e.bind(t, dataset.Spec{Name: "f", Query: "SELECT d FROM f WHERE shop = :shop ORDER BY id", Key: "f:{shop}", Value: dataset.ValueJSONArray})
	texts := func(shop string) (got []string) {
		readAll(t, b, shop, func(row []sql.RawBytes) { got = append(got, *textsOf(t, b, row)["d"]) })
		return got
	}
	want, got := e.strings(t, "SELECT CONCAT(d) FROM f ORDER BY id"), texts("1")
	if !e.mariadb() { // MySQL's CONCAT writes an exponent where its results have none
		for i := range want {
			require.Equal(t, bitsOf(t, want[i]), bitsOf(t, got[i]))
		}
	} else {
		require.Equal(t, want, got)
	}
	// As their own clients show them, both servers alike.
	seen := []string{"0.000000000034107832585835154", "0.0000000000000059300000000000005", "0.0000000000014342645", "1e15", "1.2345678901234568e17", "2.9e-16"}
	for i, text := range seen {
		e.exec(t, fmt.Sprintf("INSERT INTO f VALUES (2, %d, %s)", i, text))
	}
	require.Equal(t, seen, texts("2"))
}

func bitsOf(t *testing.T, text string) uint64 {
	t.Helper()
	f, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return math.Float64bits(f)
}

func TestTypesOfMariaDBAlone(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	if !e.mariadb() {
		_, err := e.write.ExecContext(t.Context(), "CREATE TABLE m (u UUID)")
		require.ErrorContains(t, err, "1064", "no such types in MySQL")
		return
	}
	e.exec(t, "CREATE TABLE m (shop INT, id INT, u UUID, i INET6, z INT(5) ZEROFILL, PRIMARY KEY (shop, id))",
		"INSERT INTO m VALUES (1, 1, '123e4567-e89b-12d3-a456-426655440000', '::1', 42)")
	want := `{"u":"123e4567-e89b-12d3-a456-426655440000","i":"::1","z":42}`
	for _, b := range []*Bound{
		e.bind(t, dataset.Spec{Name: "m", Table: "m", Shop: "shop", By: []string{"id"}, Columns: []string{"u", "i", "z"}, Key: "m:{shop}:{id}"}),
		e.bind(t, dataset.Spec{Name: "m", Query: "SELECT u, i, z FROM m WHERE shop = :shop", Key: "m:{shop}"}),
	} {
		rows := readAll(t, b, "1", func(row []sql.RawBytes) {
			out, err := b.Encoder().AppendObject(nil, row)
			require.NoError(t, err)
			require.Equal(t, want, string(out))
		})
		require.Equal(t, 1, rows)
	}
}
