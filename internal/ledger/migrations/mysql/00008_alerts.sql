-- +goose Up
-- What people are to be told, one row for what it is about; seq grows whenever there is something new to tell.
CREATE TABLE alerts (
  fingerprint CHAR(32)     CHARACTER SET ascii NOT NULL PRIMARY KEY,
  name        VARCHAR(64)  NOT NULL,
  severity    VARCHAR(16)  NOT NULL CHECK (severity IN ('info','warning','critical')),
  shop_id     VARCHAR(128) NOT NULL,
  run_id      CHAR(32)     CHARACTER SET ascii NOT NULL,
  about       VARCHAR(190) NOT NULL,
  summary     TEXT         NOT NULL,
  why         TEXT         NOT NULL,
  remedy      TEXT         NOT NULL,
  state       VARCHAR(16)  NOT NULL CHECK (state IN ('firing','resolved')),
  ended       TEXT         NOT NULL,
  seq         BIGINT       NOT NULL,
  times       BIGINT       NOT NULL,
  since_us    BIGINT       NOT NULL,
  raised_us   BIGINT       NOT NULL,
  resolved_us BIGINT       NOT NULL DEFAULT 0,
  since_at    DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(since_us, 0) MICROSECOND) VIRTUAL,
  raised_at   DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(raised_us, 0) MICROSECOND) VIRTUAL,
  resolved_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(resolved_us, 0) MICROSECOND) VIRTUAL,
  KEY alerts_state (state, resolved_us),
  KEY alerts_run (run_id, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Who may send to a sink now, and how that goes. A sink rests until next_us.
CREATE TABLE alert_sinks (
  sink     VARCHAR(64)  NOT NULL PRIMARY KEY,
  holder   VARCHAR(128) NOT NULL DEFAULT '',
  until_us BIGINT       NOT NULL DEFAULT 0,
  next_us  BIGINT       NOT NULL DEFAULT 0,
  failures INT          NOT NULL DEFAULT 0,
  error    TEXT         NOT NULL,
  since_us BIGINT       NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What a sink was last told of an alert.
CREATE TABLE alert_sends (
  fingerprint CHAR(32)    CHARACTER SET ascii NOT NULL,
  sink        VARCHAR(64) NOT NULL,
  seq         BIGINT      NOT NULL,
  sent_us     BIGINT      NOT NULL,
  PRIMARY KEY (fingerprint, sink)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE alert_sends;
DROP TABLE alert_sinks;
DROP TABLE alerts;
