-- +goose Up
-- The source's clock when the reading of the unit began.
ALTER TABLE units ADD COLUMN as_of_us BIGINT NOT NULL DEFAULT 0;

-- What was told of rows that changed, and what became of it. row_key: the row's cursor; '' for all of the shop's dataset.
CREATE TABLE changes (
  id          BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
  via         VARCHAR(16)  NOT NULL,
  who         VARCHAR(190) NOT NULL,
  about       VARCHAR(190) NOT NULL,
  dataset     VARCHAR(64)  NOT NULL,
  shop_id     VARCHAR(128) NOT NULL,
  row_key     VARCHAR(500) NOT NULL,
  op          VARCHAR(16)  NOT NULL,
  before_row  TEXT         NOT NULL,
  after_row   TEXT         NOT NULL,
  needed      TINYINT      NOT NULL,
  why         VARCHAR(190) NOT NULL,
  changed_us  BIGINT       NOT NULL DEFAULT 0,
  received_us BIGINT       NOT NULL,
  handled_us  BIGINT       NOT NULL DEFAULT 0,
  handled_by  VARCHAR(128) NOT NULL DEFAULT '',
  received_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(received_us, 0) MICROSECOND) VIRTUAL,
  handled_at  DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(handled_us, 0) MICROSECOND) VIRTUAL,
  KEY changes_row (shop_id, dataset, row_key),
  KEY changes_received (received_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What is to be read again, each row once however often it changed. times grows with each change.
CREATE TABLE pending (
  shop_id  VARCHAR(128) NOT NULL,
  dataset  VARCHAR(64)  CHARACTER SET ascii NOT NULL,
  row_key  VARCHAR(500) NOT NULL,
  urgent   TINYINT      NOT NULL,
  times    BIGINT       NOT NULL DEFAULT 1,
  noted_us BIGINT       NOT NULL,
  noted_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(noted_us, 0) MICROSECOND) VIRTUAL,
  PRIMARY KEY (shop_id, dataset, row_key),
  KEY pending_order (urgent, noted_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- How fresh a shop's dataset is in the cache. mark: rows whose changed_at is before it were read after their change.
CREATE TABLE freshness (
  shop_id      VARCHAR(128) NOT NULL,
  dataset      VARCHAR(64)  CHARACTER SET ascii NOT NULL,
  mark         VARCHAR(64)  NOT NULL,
  as_of_us     BIGINT       NOT NULL DEFAULT 0,
  refreshed_us BIGINT       NOT NULL DEFAULT 0,
  as_of        DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(as_of_us, 0) MICROSECOND) VIRTUAL,
  refreshed_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(refreshed_us, 0) MICROSECOND) VIRTUAL,
  PRIMARY KEY (shop_id, dataset)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- How far a change feed has been read.
CREATE TABLE feeds (
  feed       VARCHAR(64)  NOT NULL PRIMARY KEY,
  position   TEXT         NOT NULL,
  rows_read  BIGINT       NOT NULL DEFAULT 0,
  event_us   BIGINT       NOT NULL DEFAULT 0,
  updated_us BIGINT       NOT NULL,
  event_at   DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(event_us, 0) MICROSECOND) VIRTUAL,
  updated_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(updated_us, 0) MICROSECOND) VIRTUAL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE feeds;
DROP TABLE freshness;
DROP TABLE pending;
DROP TABLE changes;
ALTER TABLE units DROP COLUMN as_of_us;
