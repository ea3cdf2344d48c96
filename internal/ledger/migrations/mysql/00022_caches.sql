-- +goose Up
-- The cache that the unit is loaded into, as it was placed when its run was planned.
ALTER TABLE units ADD COLUMN cache_name VARCHAR(64) CHARACTER SET ascii NOT NULL DEFAULT 'main';

-- What an audit found in each cache; the sums stand in audits.
CREATE TABLE audit_caches (
  audit_id     CHAR(32)    CHARACTER SET ascii NOT NULL,
  cache_name   VARCHAR(64) CHARACTER SET ascii NOT NULL,
  keys_seen    BIGINT      NOT NULL,
  missing      BIGINT      NOT NULL,
  different    BIGINT      NOT NULL,
  extra        BIGINT      NOT NULL,
  wrong_expiry BIGINT      NOT NULL,
  repaired     BIGINT      NOT NULL,
  changing     BIGINT      NOT NULL,
  PRIMARY KEY (audit_id, cache_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE audit_caches;
ALTER TABLE units DROP COLUMN cache_name;
