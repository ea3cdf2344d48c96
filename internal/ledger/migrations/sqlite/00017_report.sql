-- +goose Up
CREATE TABLE attempts (
  run_id   CHAR(32)     NOT NULL,
  epoch    INT          NOT NULL,
  unit     INT          NOT NULL,
  claim    INTEGER      NOT NULL,
  outcome  VARCHAR(16)  NOT NULL,
  from_us  INTEGER      NOT NULL,
  to_us    INTEGER      NOT NULL,
  read_us  INTEGER      NOT NULL,
  write_us INTEGER      NOT NULL,
  held_us  INTEGER      NOT NULL,
  db_us    INTEGER      NOT NULL,
  loaded   INTEGER      NOT NULL,
  bytes    INTEGER      NOT NULL,
  PRIMARY KEY (run_id, epoch, unit, claim)
);
CREATE INDEX attempts_to ON attempts (to_us);

CREATE TABLE throttles (
  from_us INTEGER      NOT NULL PRIMARY KEY,
  to_us   INTEGER      NOT NULL,
  cause   VARCHAR(128) NOT NULL,
  reason  TEXT         NOT NULL
);
CREATE INDEX throttles_to ON throttles (to_us);

CREATE TABLE reports (
  day     CHAR(10) NOT NULL PRIMARY KEY,
  sent_us INTEGER  NOT NULL
);

-- +goose Down
DROP TABLE reports;
DROP TABLE throttles;
DROP TABLE attempts;
