-- +goose Up
-- How many rows a pod has written since it started, as of its last heartbeat: the difference of two is its speed.
ALTER TABLE pods ADD COLUMN rows_written BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE pods DROP COLUMN rows_written;
