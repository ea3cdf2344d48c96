-- +goose Up
-- When an audit of what the run has loaded passed; only one after ready_us counts.
ALTER TABLE runs ADD COLUMN audited_us INTEGER NOT NULL DEFAULT 0;

-- A comparison of the cache with its source: asked for, carried out, or over. shop_id '': all shops; dataset '': all.
CREATE TABLE audits (
  audit_id     CHAR(32) NOT NULL PRIMARY KEY,
  kind         VARCHAR(16)  NOT NULL CHECK (kind IN ('hand','scheduled','ready')),
  run_id       CHAR(32) NOT NULL DEFAULT '',
  epoch        INT          NOT NULL DEFAULT 0,
  shop_id      VARCHAR(128) NOT NULL DEFAULT '',
  dataset      VARCHAR(64)  NOT NULL DEFAULT '',
  repair       INTEGER      NOT NULL DEFAULT 0,
  sample       REAL       NOT NULL DEFAULT 100,
  state        VARCHAR(16)  NOT NULL CHECK (state IN ('waiting','running','passed','failed','broken')),
  who          VARCHAR(190) NOT NULL,
  why          TEXT         NOT NULL,
  owner        VARCHAR(128) NOT NULL DEFAULT '',
  claim        INTEGER       NOT NULL DEFAULT 0,
  shops_total  INT          NOT NULL DEFAULT 0,
  shops_done   INT          NOT NULL DEFAULT 0,
  after_shop   VARCHAR(128) NOT NULL DEFAULT '',
  keys_seen    INTEGER       NOT NULL DEFAULT 0,
  missing      INTEGER       NOT NULL DEFAULT 0,
  different    INTEGER       NOT NULL DEFAULT 0,
  extra        INTEGER       NOT NULL DEFAULT 0,
  wrong_expiry INTEGER       NOT NULL DEFAULT 0,
  repaired     INTEGER       NOT NULL DEFAULT 0,
  changing     INTEGER       NOT NULL DEFAULT 0,
  rows_read    INTEGER       NOT NULL DEFAULT 0,
  source_us    INTEGER       NOT NULL DEFAULT 0,
  cache_us     INTEGER       NOT NULL DEFAULT 0,
  last_error   TEXT         NOT NULL,
  created_us   INTEGER       NOT NULL,
  started_us   INTEGER       NOT NULL DEFAULT 0,
  beat_us      INTEGER       NOT NULL DEFAULT 0,
  finished_us  INTEGER       NOT NULL DEFAULT 0
);
CREATE INDEX audits_state ON audits (state, created_us);
CREATE INDEX audits_created ON audits (created_us);
CREATE INDEX audits_run ON audits (run_id);

-- The first findings of an audit.
CREATE TABLE audit_findings (
  audit_id  CHAR(32) NOT NULL,
  n         INT          NOT NULL,
  kind      VARCHAR(16)  NOT NULL,
  shop_id   VARCHAR(128) NOT NULL,
  dataset   VARCHAR(64)  NOT NULL,
  cache_key VARCHAR(255) NOT NULL,
  detail    TEXT         NOT NULL,
  repaired  INTEGER      NOT NULL,
  PRIMARY KEY (audit_id, n)
);

-- +goose Down
DROP TABLE audit_findings;
DROP TABLE audits;
ALTER TABLE runs DROP COLUMN audited_us;
