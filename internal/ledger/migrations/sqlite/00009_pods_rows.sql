-- +goose Up
ALTER TABLE pods ADD COLUMN rows_written INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE pods DROP COLUMN rows_written;
