-- +goose Up
CREATE TABLE alerts (
  fingerprint TEXT    NOT NULL PRIMARY KEY,
  name        TEXT    NOT NULL,
  severity    TEXT    NOT NULL CHECK (severity IN ('info','warning','critical')),
  shop_id     TEXT    NOT NULL,
  run_id      TEXT    NOT NULL,
  about       TEXT    NOT NULL,
  summary     TEXT    NOT NULL,
  why         TEXT    NOT NULL,
  remedy      TEXT    NOT NULL,
  state       TEXT    NOT NULL CHECK (state IN ('firing','resolved')),
  ended       TEXT    NOT NULL,
  seq         INTEGER NOT NULL,
  times       INTEGER NOT NULL,
  since_us    INTEGER NOT NULL,
  raised_us   INTEGER NOT NULL,
  resolved_us INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX alerts_state ON alerts (state, resolved_us);
CREATE INDEX alerts_run ON alerts (run_id, name);

CREATE TABLE alert_sinks (
  sink     TEXT    NOT NULL PRIMARY KEY,
  holder   TEXT    NOT NULL DEFAULT '',
  until_us INTEGER NOT NULL DEFAULT 0,
  next_us  INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  error    TEXT    NOT NULL,
  since_us INTEGER NOT NULL
);

CREATE TABLE alert_sends (
  fingerprint TEXT    NOT NULL,
  sink        TEXT    NOT NULL,
  seq         INTEGER NOT NULL,
  sent_us     INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, sink)
);

-- +goose Down
DROP TABLE alert_sends;
DROP TABLE alert_sinks;
DROP TABLE alerts;
