-- +goose Up
ALTER TABLE units ADD COLUMN cache_name VARCHAR(64) NOT NULL DEFAULT 'main';

CREATE TABLE audit_caches (
  audit_id     CHAR(32)    NOT NULL,
  cache_name   VARCHAR(64) NOT NULL,
  keys_seen    INTEGER     NOT NULL,
  missing      INTEGER     NOT NULL,
  different    INTEGER     NOT NULL,
  extra        INTEGER     NOT NULL,
  wrong_expiry INTEGER     NOT NULL,
  repaired     INTEGER     NOT NULL,
  changing     INTEGER     NOT NULL,
  PRIMARY KEY (audit_id, cache_name)
);

-- +goose Down
DROP TABLE audit_caches;
ALTER TABLE units DROP COLUMN cache_name;
