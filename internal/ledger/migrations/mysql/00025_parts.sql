-- +goose Up
-- How many rows are kept of datasets, as `products=100 users=5000`; empty: all of all. Of a run, as it was planned.
ALTER TABLE shop_settings ADD COLUMN max_rows VARCHAR(4000) CHARACTER SET ascii NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN max_rows VARCHAR(4000) CHARACTER SET ascii NOT NULL DEFAULT '';

-- What a run keeps of a dataset of which it does not keep all: the rows behind key_from and up to key_to, as of a unit.
CREATE TABLE run_parts (
  run_id   CHAR(32) CHARACTER SET ascii    NOT NULL,
  dataset  VARCHAR(64) CHARACTER SET ascii NOT NULL,
  key_from TEXT        NOT NULL,
  key_to   TEXT        NOT NULL,
  PRIMARY KEY (run_id, dataset)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE run_parts;
ALTER TABLE runs DROP COLUMN max_rows;
ALTER TABLE shop_settings DROP COLUMN max_rows;
