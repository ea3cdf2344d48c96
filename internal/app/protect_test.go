package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const membersTable = `CREATE TABLE members (shop_id BIGINT NOT NULL, id BIGINT NOT NULL, phone VARCHAR(40), email VARCHAR(60) NOT NULL, pass VARCHAR(40) NOT NULL,
	name VARCHAR(40) NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (shop_id, id)) CHARSET=utf8mb4`

// protectedDatasets protect columns in each form that a row can be written in.
const protectedDatasets = `
  - name: members
    table: members
    shop: shop_id
    by: [id]
    columns: [id, name, phone, email, pass]
    key: member:{shop}:{id}
    drop: [pass]
    mask: {phone: "***"}
    hash: [email]
  - name: member_hashes
    table: members
    shop: shop_id
    by: [id]
    columns: [id, name, phone, email]
    key: mh:{shop}:{email}:{id}
    value: hash
    drop: [Phone, pass]
    hash: [email]
  - name: member_list
    query: SELECT * FROM members WHERE shop_id = :shop ORDER BY id
    key: shop:{shop}:members
    value: json_array
    json: [doc]
    drop: [phone, pass]
    hash: [email]
  - name: member_index
    query: SELECT id AS n, phone AS tel, email AS mail FROM members WHERE shop_id = :shop
    key: shop:{shop}:index
    value: hash
    field: "{mail}"
    mask: {tel: hidden}
    hash: [mail]
`

const hashKey = "a key of these tests"

func hashOf(text string) string {
	m := hmac.New(sha256.New, []byte(hashKey))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

// newGuarded is a cluster with these datasets and a shop of 40 members, of whom the document of one is broken.
func newGuarded(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t, "hash_key: "+hashKey)
	text, err := os.ReadFile(c.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(c.config, append(text, protectedDatasets...), 0o600))
	c.change(membersTable)
	seed(t, c.source, 1001, 20)
	insert(t, c.source, "members (shop_id, id, phone, email, pass, name, doc)", 40, func(i int) string {
		return fmt.Sprintf("(1001, %[1]d, IF(%[1]d = 2, NULL, 'raw-phone-%[1]d'), 'raw-email-%[1]d', 'raw-pass-%[1]d', 'name %[1]d', IF(%[1]d = 5, '{', '{}'))", i)
	})
	return c
}

func TestProtectedColumnsReachNeitherCacheNorLedgerNorLog(t *testing.T) {
	t.Parallel()
	c := newGuarded(t)
	ctx := t.Context()
	require.NoError(t, c.cache.HSet(ctx, "mh:1001:"+hashOf("raw-email-1")+":1", "phone", "as it was before it was dropped").Err())
	p := c.serve()
	c.announce(ka(1001, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 1001, "ready")

	member := func(i int) string { return c.cache.Get(ctx, fmt.Sprintf("member:1001:%d", i)).Val() }
	require.JSONEq(t, `{"id":1,"name":"name 1","phone":"***","email":"`+hashOf("raw-email-1")+`"}`, member(1))
	require.JSONEq(t, `{"id":2,"name":"name 2","phone":"***","email":"`+hashOf("raw-email-2")+`"}`, member(2), "a mask does not tell a NULL")
	byHash := func(id int, email string) map[string]string {
		return c.cache.HGetAll(ctx, fmt.Sprintf("mh:1001:%s:%d", hashOf(email), id)).Val()
	}
	require.Equal(t, map[string]string{"id": "1", "name": "name 1", "email": hashOf("raw-email-1")}, byHash(1, "raw-email-1"), "a field of before is gone")
	list := c.cache.Get(ctx, "shop:1001:members").Val()
	require.Equal(t, 39, strings.Count(list, `"doc":{}`))
	require.Contains(t, list, `{"shop_id":1001,"id":1,"email":"`+hashOf("raw-email-1")+`","name":"name 1","doc":{}}`)
	require.JSONEq(t, `{"n":3,"tel":"hidden","mail":"`+hashOf("raw-email-3")+`"}`, c.cache.HGet(ctx, "shop:1001:index", hashOf("raw-email-3")).Val())

	// What is told of changes, with all that the row holds.
	c.change("UPDATE members SET phone = 'raw-phone-new', email = 'raw-email-new', pass = 'raw-pass-new', name = 'renamed' WHERE id = 3")
	image := func(mark, name string) map[string]any {
		return map[string]any{"shop_id": 1001, "id": 3, "Phone": "raw-phone-" + mark, "email": "raw-email-" + mark, "pass": "raw-pass-" + mark, "name": name}
	}
	p.post(t, "/v1/changes", []any{
		map[string]any{"table": "members", "op": "update", "before": image("3", "name 3"), "after": image("new", "renamed")},
		map[string]any{"dataset": "membres", "op": "update", "before": image("3", "name 3"), "after": image("new", "renamed")},
		map[string]any{"dataset": "members", "op": "update", "after": image("new", "renamed")},
	})
	c.until(soon, "refreshed", func() bool {
		return strings.Contains(member(3), hashOf("raw-email-new")) && byHash(3, "raw-email-3")["id"] == "" && byHash(3, "raw-email-new")["name"] == "renamed" &&
			strings.Contains(c.cache.Get(ctx, "shop:1001:members").Val(), "renamed") && c.cache.HExists(ctx, "shop:1001:index", hashOf("raw-email-new")).Val()
	})
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM changes WHERE about = 'membres' AND why <> '' AND before_row LIKE '%(not kept)%'"), "whose name is misspelt")

	// What was tampered with is found, and is put right in the protected form.
	require.NoError(t, c.cache.Set(ctx, "member:1001:4", "{}", time.Hour).Err())
	require.NoError(t, c.cache.Del(ctx, "member:1001:6").Err())
	require.NoError(t, c.cache.HSet(ctx, "mh:1001:"+hashOf("raw-email-7")+":7", "phone", "again").Err())
	require.NoError(t, c.cache.HSet(ctx, "mh:1001:"+hashOf("nobody")+":7", "id", "7").Err())
	got := c.audited(p, map[string]any{"shop_id": "1001", "repair": true})
	require.Equal(t, []any{"passed", 1., 2., 1.}, []any{got["state"], got["missing"], got["different"], got["extra"]}, "%v", got)
	require.JSONEq(t, `{"id":6,"name":"name 6","phone":"***","email":"`+hashOf("raw-email-6")+`"}`, member(6))
	require.NotContains(t, byHash(7, "raw-email-7"), "phone")

	run, _, _ := c.run(1001)
	require.Contains(t, p.get(t, "/v1/runs/"+run+"/rejects"), "id=5", "the row is named by what may be told")
	told := map[string]string{"log": p.log.String()}
	for _, path := range []string{"/v1/changes", "/v1/runs/" + run, "/v1/runs/" + run + "/rejects", "/v1/audits/" + got["audit_id"].(string), "/v1/alerts", "/metrics"} {
		told[path] = p.get(t, path)
	}
	for name, client := range map[string]map[string]string{"cache": plainSnapshot(t, c, true), "queue": plainSnapshot(t, c, false)} {
		require.NotEmpty(t, client)
		for key, value := range client {
			told[name+" "+key] = key + value
		}
	}
	for table, rows := range everything(t, c.ledger) {
		told["ledger "+table] = rows
	}
	require.Contains(t, told["ledger changes"], "(not kept)")
	for where, text := range told {
		require.NotContains(t, text, "raw-", where)
		require.NotContains(t, text, hashKey, where)
	}
}

// plainSnapshot is a snapshot in which values stand as they are.
func plainSnapshot(t *testing.T, c *cluster, cache bool) map[string]string {
	t.Helper()
	client := c.queue
	if cache {
		client = c.cache
	}
	require.NoError(t, client.ConfigSet(t.Context(), "rdbcompression", "no").Err())
	return snapshot(t, client)
}

// everything is all that a database holds, by table.
func everything(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, table := range strings.Fields(lines(t, db, "SHOW TABLES")) {
		all[table] = lines(t, db, "SELECT * FROM "+table)
	}
	return all
}

func lines(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	row, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	var text strings.Builder
	for rows.Next() {
		require.NoError(t, rows.Scan(into...))
		for _, v := range row {
			text.Write(v)
			text.WriteByte(' ')
		}
		text.WriteByte('\n')
	}
	require.NoError(t, rows.Err())
	return text.String()
}
