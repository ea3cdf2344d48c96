-- Times are microseconds since 1970 UTC (0: not yet). The *_at columns beside them are the same, for people, in UTC.
-- +goose Up
CREATE TABLE requests (
  id          CHAR(32)     CHARACTER SET ascii NOT NULL PRIMARY KEY,
  request_id  VARCHAR(190) NOT NULL,
  via         VARCHAR(64)  NOT NULL,
  broadcasts  INT          NOT NULL,
  outcomes    MEDIUMTEXT   NOT NULL,
  received_us BIGINT       NOT NULL,
  received_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(received_us, 0) MICROSECOND) VIRTUAL,
  KEY requests_received (received_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE runs (
  run_id           CHAR(32)     CHARACTER SET ascii NOT NULL PRIMARY KEY,
  shop_id          VARCHAR(128) NOT NULL,
  broadcast_id     VARCHAR(128) NOT NULL,
  state            VARCHAR(16)  NOT NULL CHECK (state IN ('planned','warming','ready','failed','cancelled','skipped')),
  late             TINYINT      NOT NULL DEFAULT 0,
  reason           TEXT         NOT NULL,
  last_error       TEXT         NOT NULL,
  rows_estimated   BIGINT       NOT NULL DEFAULT 0,
  epoch            INT          NOT NULL DEFAULT 1,
  attempts         INT          NOT NULL DEFAULT 1,
  urgent           TINYINT      NOT NULL DEFAULT 0,
  tier             VARCHAR(32)  NOT NULL,
  forced           TINYINT      NOT NULL DEFAULT 0,
  request_id       VARCHAR(190) NOT NULL,
  starts_us        BIGINT       NOT NULL,
  ends_us          BIGINT       NOT NULL,
  deadline_us      BIGINT       NOT NULL,
  planned_start_us BIGINT       NOT NULL,
  planned_us       BIGINT       NOT NULL DEFAULT 0,
  started_us       BIGINT       NOT NULL DEFAULT 0,
  ready_us         BIGINT       NOT NULL DEFAULT 0,
  flagged_us       BIGINT       NOT NULL DEFAULT 0,
  created_us       BIGINT       NOT NULL,
  updated_us       BIGINT       NOT NULL,
  starts_at        DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(starts_us, 0) MICROSECOND) VIRTUAL,
  ends_at          DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(ends_us, 0) MICROSECOND) VIRTUAL,
  deadline_at      DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(deadline_us, 0) MICROSECOND) VIRTUAL,
  planned_start_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(planned_start_us, 0) MICROSECOND) VIRTUAL,
  started_at       DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(started_us, 0) MICROSECOND) VIRTUAL,
  ready_at         DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(ready_us, 0) MICROSECOND) VIRTUAL,
  updated_at       DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(updated_us, 0) MICROSECOND) VIRTUAL,
  UNIQUE KEY runs_broadcast (shop_id, broadcast_id),
  KEY runs_state (state, ends_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE units (
  run_id         CHAR(32)     CHARACTER SET ascii NOT NULL,
  epoch          INT          NOT NULL,
  unit           INT          NOT NULL,
  dataset        VARCHAR(64)  NOT NULL,
  state          VARCHAR(16)  NOT NULL CHECK (state IN ('waiting','running','done','failed','cancelled')),
  key_from       TEXT         NOT NULL,
  key_to         TEXT         NOT NULL,
  key_cursor     TEXT         NOT NULL,
  rows_estimated BIGINT       NOT NULL DEFAULT 0,
  rows_done      BIGINT       NOT NULL DEFAULT 0,
  pages          BIGINT       NOT NULL DEFAULT 0,
  rejects        BIGINT       NOT NULL DEFAULT 0,
  attempts       INT          NOT NULL DEFAULT 0,
  claim          BIGINT       NOT NULL DEFAULT 0,
  owner          VARCHAR(128) NOT NULL DEFAULT '',
  task_seq       INT          NOT NULL DEFAULT 0,
  touch          TINYINT      NOT NULL DEFAULT 0,
  last_error     TEXT         NOT NULL,
  started_us     BIGINT       NOT NULL DEFAULT 0,
  updated_us     BIGINT       NOT NULL DEFAULT 0,
  finished_us    BIGINT       NOT NULL DEFAULT 0,
  started_at     DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(started_us, 0) MICROSECOND) VIRTUAL,
  updated_at     DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(updated_us, 0) MICROSECOND) VIRTUAL,
  finished_at    DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(finished_us, 0) MICROSECOND) VIRTUAL,
  PRIMARY KEY (run_id, epoch, unit)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE rejects (
  run_id      CHAR(32)     CHARACTER SET ascii NOT NULL,
  epoch       INT          NOT NULL,
  unit        INT          NOT NULL,
  row_key     VARCHAR(255) NOT NULL,
  error       TEXT         NOT NULL,
  rejected_us BIGINT       NOT NULL,
  rejected_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(rejected_us, 0) MICROSECOND) VIRTUAL,
  PRIMARY KEY (run_id, epoch, unit, row_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE pods (
  pod        VARCHAR(128) NOT NULL PRIMARY KEY,
  version    VARCHAR(64)  NOT NULL,
  slots      INT          NOT NULL DEFAULT 0,
  started_us BIGINT       NOT NULL,
  beat_us    BIGINT       NOT NULL,
  started_at DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(started_us, 0) MICROSECOND) VIRTUAL,
  beat_at    DATETIME(6)  AS (TIMESTAMP('1970-01-01') + INTERVAL NULLIF(beat_us, 0) MICROSECOND) VIRTUAL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE pods;
DROP TABLE rejects;
DROP TABLE units;
DROP TABLE runs;
DROP TABLE requests;
