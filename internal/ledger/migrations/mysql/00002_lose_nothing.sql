-- +goose Up
ALTER TABLE runs ADD COLUMN former_us VARCHAR(400) NOT NULL DEFAULT '';

ALTER TABLE units
  ADD COLUMN claimed_us BIGINT NOT NULL DEFAULT 0 AFTER owner,
  ADD COLUMN recovers   BIGINT NOT NULL DEFAULT 0 AFTER claimed_us,
  ADD COLUMN marked     BIGINT NOT NULL DEFAULT 0 AFTER recovers;

-- A row is a pause that is in force: of everything (kind all, id ''), of a shop or of a run.
CREATE TABLE switches (
  kind   VARCHAR(8)   NOT NULL CHECK (kind IN ('all','shop','run')),
  id     VARCHAR(128) NOT NULL DEFAULT '',
  who    VARCHAR(190) NOT NULL,
  why    TEXT         NOT NULL,
  set_us BIGINT       NOT NULL,
  set_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(set_us, 0) MICROSECOND) VIRTUAL,
  PRIMARY KEY (kind, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What happened, when, by whom. Of a run; of a shop (run_id ''); of everything (both ''). unit -1: of the run as a whole.
CREATE TABLE events (
  id       BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
  run_id   CHAR(32)     CHARACTER SET ascii NOT NULL DEFAULT '',
  shop_id  VARCHAR(128) NOT NULL DEFAULT '',
  epoch    INT          NOT NULL DEFAULT 0,
  unit     INT          NOT NULL DEFAULT -1,
  claim    BIGINT       NOT NULL DEFAULT 0,
  recovers BIGINT       NOT NULL DEFAULT 0,
  stage    VARCHAR(32)  NOT NULL,
  who      VARCHAR(190) NOT NULL,
  message  TEXT         NOT NULL,
  at_us    BIGINT       NOT NULL,
  happened_at DATETIME(6) AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(at_us, 0) MICROSECOND) VIRTUAL,
  KEY events_run (run_id, id),
  KEY events_at (at_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The servers of the cache as they were last seen: what they have evicted since then is known.
CREATE TABLE cache_nodes (
  addr     VARCHAR(255) NOT NULL PRIMARY KEY,
  start_id VARCHAR(64)  NOT NULL,
  evicted  BIGINT       NOT NULL,
  seen_us  BIGINT       NOT NULL,
  seen_at  DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(seen_us, 0) MICROSECOND) VIRTUAL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE INDEX requests_request ON requests (request_id);

-- +goose Down
DROP TABLE cache_nodes;
DROP INDEX requests_request ON requests;
DROP TABLE events;
DROP TABLE switches;
ALTER TABLE units DROP COLUMN claimed_us, DROP COLUMN recovers, DROP COLUMN marked;
ALTER TABLE runs DROP COLUMN former_us;
