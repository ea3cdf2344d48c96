-- +goose Up
ALTER TABLE units ADD COLUMN as_of_us INTEGER NOT NULL DEFAULT 0;

CREATE TABLE changes (
  id          INTEGER      PRIMARY KEY AUTOINCREMENT,
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
  changed_us  INTEGER      NOT NULL DEFAULT 0,
  received_us INTEGER      NOT NULL,
  handled_us  INTEGER      NOT NULL DEFAULT 0,
  handled_by  VARCHAR(128) NOT NULL DEFAULT ''
);
CREATE INDEX changes_row ON changes (shop_id, dataset, row_key);
CREATE INDEX changes_received ON changes (received_us);

CREATE TABLE pending (
  shop_id  VARCHAR(128) NOT NULL,
  dataset  VARCHAR(64)  NOT NULL,
  row_key  VARCHAR(500) NOT NULL,
  urgent   TINYINT      NOT NULL,
  times    INTEGER      NOT NULL DEFAULT 1,
  noted_us INTEGER      NOT NULL,
  PRIMARY KEY (shop_id, dataset, row_key)
);
CREATE INDEX pending_order ON pending (urgent, noted_us);

CREATE TABLE freshness (
  shop_id      VARCHAR(128) NOT NULL,
  dataset      VARCHAR(64)  NOT NULL,
  mark         VARCHAR(64)  NOT NULL,
  as_of_us     INTEGER      NOT NULL DEFAULT 0,
  refreshed_us INTEGER      NOT NULL DEFAULT 0,
  PRIMARY KEY (shop_id, dataset)
);

CREATE TABLE feeds (
  feed       VARCHAR(64) NOT NULL PRIMARY KEY,
  position   TEXT        NOT NULL,
  rows_read  INTEGER     NOT NULL DEFAULT 0,
  event_us   INTEGER     NOT NULL DEFAULT 0,
  updated_us INTEGER     NOT NULL
);

-- +goose Down
DROP TABLE feeds;
DROP TABLE freshness;
DROP TABLE pending;
DROP TABLE changes;
ALTER TABLE units DROP COLUMN as_of_us;
