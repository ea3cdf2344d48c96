-- Times are microseconds since 1970 UTC (0: not yet).
-- +goose Up
CREATE TABLE requests (
  id          CHAR(32)     NOT NULL PRIMARY KEY,
  request_id  VARCHAR(190) NOT NULL,
  via         VARCHAR(64)  NOT NULL,
  broadcasts  INT          NOT NULL,
  outcomes    TEXT         NOT NULL,
  received_us INTEGER      NOT NULL
);
CREATE INDEX requests_received ON requests (received_us);

CREATE TABLE runs (
  run_id           CHAR(32)     NOT NULL PRIMARY KEY,
  shop_id          VARCHAR(128) NOT NULL,
  broadcast_id     VARCHAR(128) NOT NULL,
  state            VARCHAR(16)  NOT NULL CHECK (state IN ('planned','warming','ready','failed','cancelled','skipped')),
  late             INTEGER      NOT NULL DEFAULT 0,
  reason           TEXT         NOT NULL,
  last_error       TEXT         NOT NULL,
  rows_estimated   INTEGER      NOT NULL DEFAULT 0,
  epoch            INT          NOT NULL DEFAULT 1,
  attempts         INT          NOT NULL DEFAULT 1,
  urgent           INTEGER      NOT NULL DEFAULT 0,
  tier             VARCHAR(32)  NOT NULL,
  forced           INTEGER      NOT NULL DEFAULT 0,
  request_id       VARCHAR(190) NOT NULL,
  starts_us        INTEGER      NOT NULL,
  ends_us          INTEGER      NOT NULL,
  deadline_us      INTEGER      NOT NULL,
  planned_start_us INTEGER      NOT NULL,
  planned_us       INTEGER      NOT NULL DEFAULT 0,
  started_us       INTEGER      NOT NULL DEFAULT 0,
  ready_us         INTEGER      NOT NULL DEFAULT 0,
  flagged_us       INTEGER      NOT NULL DEFAULT 0,
  created_us       INTEGER      NOT NULL,
  updated_us       INTEGER      NOT NULL
);
CREATE UNIQUE INDEX runs_broadcast ON runs (shop_id, broadcast_id);
CREATE INDEX runs_state ON runs (state, ends_us);

CREATE TABLE units (
  run_id         CHAR(32)     NOT NULL,
  epoch          INT          NOT NULL,
  unit           INT          NOT NULL,
  dataset        VARCHAR(64)  NOT NULL,
  state          VARCHAR(16)  NOT NULL CHECK (state IN ('waiting','running','done','failed','cancelled')),
  key_from       TEXT         NOT NULL,
  key_to         TEXT         NOT NULL,
  key_cursor     TEXT         NOT NULL,
  rows_estimated INTEGER      NOT NULL DEFAULT 0,
  rows_done      INTEGER      NOT NULL DEFAULT 0,
  pages          INTEGER      NOT NULL DEFAULT 0,
  rejects        INTEGER      NOT NULL DEFAULT 0,
  attempts       INT          NOT NULL DEFAULT 0,
  claim          INTEGER      NOT NULL DEFAULT 0,
  owner          VARCHAR(128) NOT NULL DEFAULT '',
  task_seq       INT          NOT NULL DEFAULT 0,
  touch          INTEGER      NOT NULL DEFAULT 0,
  last_error     TEXT         NOT NULL,
  started_us     INTEGER      NOT NULL DEFAULT 0,
  updated_us     INTEGER      NOT NULL DEFAULT 0,
  finished_us    INTEGER      NOT NULL DEFAULT 0,
  PRIMARY KEY (run_id, epoch, unit)
);

CREATE TABLE rejects (
  run_id      CHAR(32)     NOT NULL,
  epoch       INT          NOT NULL,
  unit        INT          NOT NULL,
  row_key     VARCHAR(255) NOT NULL,
  error       TEXT         NOT NULL,
  rejected_us INTEGER      NOT NULL,
  PRIMARY KEY (run_id, epoch, unit, row_key)
);

CREATE TABLE pods (
  pod        VARCHAR(128) NOT NULL PRIMARY KEY,
  version    VARCHAR(64)  NOT NULL,
  slots      INT          NOT NULL DEFAULT 0,
  started_us INTEGER      NOT NULL,
  beat_us    INTEGER      NOT NULL
);

-- +goose Down
DROP TABLE pods;
DROP TABLE rejects;
DROP TABLE units;
DROP TABLE runs;
DROP TABLE requests;
