package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

// slimShops are those of the shape "slim", which is there to be planned and not to be loaded.
const slimShops = 1000

// whatIfShops are how many shops are asked about before anything is announced.
const whatIfShops = 500

const slimSchema = `CREATE TABLE shop_users (shop_id BIGINT NOT NULL, user_id BIGINT NOT NULL, nickname VARCHAR(20) NOT NULL, level INT NOT NULL,
	PRIMARY KEY (shop_id, user_id)) CHARACTER SET utf8mb4`

func equal(rows int) (shops []int) {
	for range slimShops {
		shops = append(shops, max(rows/slimShops, 1))
	}
	return shops
}

// fillSlim has MariaDB make the rows, some shops at a time.
func (s *stand) fillSlim(ctx context.Context, db *sql.DB) error {
	const atOnce = 20
	for shop := 0; shop < len(s.rows); shop += atOnce {
		if _, err := db.ExecContext(ctx, fmt.Sprintf(`INSERT INTO shop_users SELECT s.seq, 3 * u.seq, CONCAT('user ', u.seq), u.seq %% 9
			FROM seq_%d_to_%d s STRAIGHT_JOIN seq_1_to_%d u`, shop+1, min(shop+atOnce, len(s.rows)), s.rows[shop])); err != nil {
			return err
		}
	}
	return nil
}

// planned is what planning took, in seconds and rows.
type planned struct {
	Shops    int     `json:"shops"`
	Rows     int     `json:"rows"`
	WhatIf   float64 `json:"seconds_to_a_what_if"` // of whatIfShops
	Answer   float64 `json:"seconds_to_the_answer"`
	Planned  float64 `json:"seconds_to_the_last_plan"`
	Verdicts int     `json:"verdicts"` // in the answer
	Units    int     `json:"units"`
	RowsRead int64   `json:"rows_read"` // or index entries, of the shops' table
}

// planning announces all shops in one batch to a process that is held, and waits until each is planned.
func (s *stand) planning(ctx context.Context) (err error) {
	p, ledger, err := s.serve(ctx, 4, "")
	if err != nil {
		return err
	}
	defer func() {
		if e := p.stop(); err == nil {
			err = e
		}
	}()
	if err := p.ask(ctx, http.MethodPut, "/v1/width", map[string]any{"pause": true, "for": "10m", "reason": "it is only planned"}); err != nil {
		return err
	}
	if _, err := s.mysql.ExecContext(ctx, "SET GLOBAL userstat = 1"); err != nil {
		return err
	}
	r := planned{Shops: len(s.rows), Rows: s.o.rows}
	began := time.Now()
	if err := p.ask(ctx, http.MethodPost, "/v1/plan", request(whatIfShops)); err != nil {
		return err
	}
	r.WhatIf = time.Since(began).Seconds()
	if n := bytes.Count(p.answer, []byte(`"state":"feasible"`)) + bytes.Count(p.answer, []byte(`"state":"at risk"`)) +
		bytes.Count(p.answer, []byte(`"state":"infeasible"`)); n != whatIfShops {
		return fmt.Errorf("the what-if has %d verdicts of %d: %s", n, whatIfShops, p.answer)
	}
	began = time.Now()
	if err := s.announce(ctx, p, ledger); err != nil {
		return err
	}
	r.Planned = time.Since(began).Seconds()
	r.Answer = p.answered.Sub(began).Seconds()
	if err := s.mysql.QueryRowContext(ctx, "SELECT ROWS_READ FROM information_schema.TABLE_STATISTICS WHERE TABLE_NAME = 'shop_users'").Scan(&r.RowsRead); err != nil {
		return err
	}
	if r.Verdicts, err = verdicts(p.answer); err != nil {
		return err
	}
	if err := s.mysql.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+ledger+".units").Scan(&r.Units); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	if s.o.json == "" {
		return nil
	}
	return os.WriteFile(s.o.json, append(text, '\n'), 0o600)
}

// verdicts counts those of an answer to POST /v1/requests.
func verdicts(answer []byte) (n int, err error) {
	var a struct {
		Outcomes []struct {
			Verdict json.RawMessage `json:"verdict"`
		} `json:"outcomes"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	for _, b := range a.Outcomes {
		if len(b.Verdict) > 0 && string(b.Verdict) != "null" {
			n++
		}
	}
	return n, nil
}
