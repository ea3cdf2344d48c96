package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// user is a row as an application would have it.
type user struct {
	ShopID    int64       `json:"shop_id"`
	UserID    int64       `json:"user_id"`
	Nickname  string      `json:"nickname"`
	Avatar    *string     `json:"avatar"`
	Level     int         `json:"level"`
	Balance   json.Number `json:"balance"`
	City      *string     `json:"city"`
	Tags      string      `json:"tags"`
	Score     float64     `json:"score"`
	VIP       int         `json:"vip"`
	Joined    string      `json:"joined"`
	UpdatedAt string      `json:"updated_at"`
}

const (
	loopPage = 500
	// loopRead is how one would page through a shop.
	loopRead = `SELECT shop_id, user_id, nickname, avatar, level, balance, city, tags, score, vip, joined, updated_at FROM shop_users
		WHERE shop_id = ? AND user_id > ? ORDER BY user_id LIMIT ?`
)

// loop is the plain loop.
func (s *stand) loop(ctx context.Context) (figures, error) { return s.loopOver(ctx, s.near) }

func (s *stand) loopOver(ctx context.Context, w ways) (figures, error) {
	if err := s.empty(ctx); err != nil {
		return figures{}, err
	}
	db, err := sql.Open("mysql", w.dsn(sourceSchema))
	if err != nil {
		return figures{}, err
	}
	defer db.Close()
	for _, text := range []string{"DROP TABLE IF EXISTS progress", "CREATE TABLE progress (shop BIGINT PRIMARY KEY, last BIGINT, done BIGINT, at DATETIME(6))"} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return figures{}, err
		}
	}
	l := &plainLoop{db: db, cache: redis.NewClient(&redis.Options{Addr: w.cache}), lease: redis.NewClient(&redis.Options{Addr: w.queue}), ends: time.Now().Add(time.Hour)}
	defer l.cache.Close()
	defer l.lease.Close()
	ended := make(chan error, 1)
	go func() {
		for shop := range s.rows {
			if err := l.shop(ctx, shop+1); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	f, err := s.watch(ctx, cpuOfThis, s.o.rows)
	if err != nil {
		return f, err
	}
	return f, <-ended
}

type plainLoop struct {
	db           *sql.DB
	cache, lease *redis.Client
	ends         time.Time
}

func (l *plainLoop) shop(ctx context.Context, shop int) error {
	key := fmt.Sprint("lease:", shop)
	if err := l.lease.Set(ctx, key, "mine", 5*time.Minute).Err(); err != nil {
		return err
	}
	if _, err := l.db.ExecContext(ctx, "INSERT INTO progress VALUES (?, 0, 0, NOW(6))", shop); err != nil {
		return err
	}
	var last int64
	for done := 0; ; {
		n, next, err := l.page(ctx, shop, last)
		if err != nil {
			return err
		}
		last, done = next, done+n
		if _, err := l.db.ExecContext(ctx, "UPDATE progress SET last = ?, done = ?, at = NOW(6) WHERE shop = ?", last, done, shop); err != nil {
			return err
		}
		if err := l.lease.PExpire(ctx, key, 5*time.Minute).Err(); err != nil {
			return err
		}
		if n < loopPage {
			return nil
		}
	}
}

func (l *plainLoop) page(ctx context.Context, shop int, after int64) (n int, last int64, err error) {
	rows, err := l.db.QueryContext(ctx, loopRead, shop, after, loopPage)
	if err != nil {
		return 0, after, err
	}
	defer rows.Close()
	pipe := l.cache.Pipeline()
	for last = after; rows.Next(); n++ {
		var u user
		if err := rows.Scan(&u.ShopID, &u.UserID, &u.Nickname, &u.Avatar, &u.Level, &u.Balance, &u.City, &u.Tags, &u.Score, &u.VIP, &u.Joined, &u.UpdatedAt); err != nil {
			return n, last, err
		}
		text, err := json.Marshal(u)
		if err != nil {
			return n, last, err
		}
		pipe.SetArgs(ctx, fmt.Sprintf("user:%d:%d", u.ShopID, u.UserID), text, redis.SetArgs{ExpireAt: l.ends})
		last = u.UserID
	}
	if err := rows.Err(); err != nil || n == 0 {
		return n, last, err
	}
	_, err = pipe.Exec(ctx)
	return n, last, err
}
