-- +goose Up
-- When an audit of what the run has loaded passed; only one after ready_us counts.
ALTER TABLE runs ADD COLUMN audited_us BIGINT NOT NULL DEFAULT 0;

-- A comparison of the cache with its source: asked for, carried out, or over. shop_id '': all shops; dataset '': all.
CREATE TABLE audits (
  audit_id     CHAR(32)     CHARACTER SET ascii NOT NULL PRIMARY KEY,
  kind         VARCHAR(16)  NOT NULL CHECK (kind IN ('hand','scheduled','ready')),
  run_id       CHAR(32)     CHARACTER SET ascii NOT NULL DEFAULT '',
  epoch        INT          NOT NULL DEFAULT 0,
  shop_id      VARCHAR(128) NOT NULL DEFAULT '',
  dataset      VARCHAR(64)  NOT NULL DEFAULT '',
  repair       TINYINT      NOT NULL DEFAULT 0,
  sample       DOUBLE       NOT NULL DEFAULT 100,
  state        VARCHAR(16)  NOT NULL CHECK (state IN ('waiting','running','passed','failed','broken')),
  who          VARCHAR(190) NOT NULL,
  why          TEXT         NOT NULL,
  owner        VARCHAR(128) NOT NULL DEFAULT '',
  claim        BIGINT       NOT NULL DEFAULT 0,
  shops_total  INT          NOT NULL DEFAULT 0,
  shops_done   INT          NOT NULL DEFAULT 0,
  after_shop   VARCHAR(128) NOT NULL DEFAULT '',
  keys_seen    BIGINT       NOT NULL DEFAULT 0,
  missing      BIGINT       NOT NULL DEFAULT 0,
  different    BIGINT       NOT NULL DEFAULT 0,
  extra        BIGINT       NOT NULL DEFAULT 0,
  wrong_expiry BIGINT       NOT NULL DEFAULT 0,
  repaired     BIGINT       NOT NULL DEFAULT 0,
  changing     BIGINT       NOT NULL DEFAULT 0,
  rows_read    BIGINT       NOT NULL DEFAULT 0,
  source_us    BIGINT       NOT NULL DEFAULT 0,
  cache_us     BIGINT       NOT NULL DEFAULT 0,
  last_error   TEXT         NOT NULL,
  created_us   BIGINT       NOT NULL,
  started_us   BIGINT       NOT NULL DEFAULT 0,
  beat_us      BIGINT       NOT NULL DEFAULT 0,
  finished_us  BIGINT       NOT NULL DEFAULT 0,
  created_at   DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(created_us, 0) MICROSECOND) VIRTUAL,
  finished_at  DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(finished_us, 0) MICROSECOND) VIRTUAL,
  KEY audits_state (state, created_us),
  KEY audits_created (created_us),
  KEY audits_run (run_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The first findings of an audit.
CREATE TABLE audit_findings (
  audit_id  CHAR(32)     CHARACTER SET ascii NOT NULL,
  n         INT          NOT NULL,
  kind      VARCHAR(16)  NOT NULL,
  shop_id   VARCHAR(128) NOT NULL,
  dataset   VARCHAR(64)  NOT NULL,
  cache_key VARCHAR(255) NOT NULL,
  detail    TEXT         NOT NULL,
  repaired  TINYINT      NOT NULL,
  PRIMARY KEY (audit_id, n)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE audit_findings;
DROP TABLE audits;
ALTER TABLE runs DROP COLUMN audited_us;
