-- +goose Up
-- How an attempt at a unit has spent its time: waiting for pages to be read, writing them, and held before a page. db_us is the time of
-- its reading statements, part of which is hidden behind the writing.
CREATE TABLE attempts (
  run_id   CHAR(32)     CHARACTER SET ascii NOT NULL,
  epoch    INT          NOT NULL,
  unit     INT          NOT NULL,
  claim    BIGINT       NOT NULL,
  outcome  VARCHAR(16)  NOT NULL,
  from_us  BIGINT       NOT NULL,
  to_us    BIGINT       NOT NULL,
  read_us  BIGINT       NOT NULL,
  write_us BIGINT       NOT NULL,
  held_us  BIGINT       NOT NULL,
  db_us    BIGINT       NOT NULL,
  loaded   BIGINT       NOT NULL,
  bytes    BIGINT       NOT NULL,
  PRIMARY KEY (run_id, epoch, unit, claim),
  KEY attempts_to (to_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- When a signal held the width below what was needed, or stopped all work. to_us moves on while it lasts.
CREATE TABLE throttles (
  from_us BIGINT       NOT NULL PRIMARY KEY,
  to_us   BIGINT       NOT NULL,
  cause   VARCHAR(128) NOT NULL,
  reason  TEXT         NOT NULL,
  KEY throttles_to (to_us)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Days whose report was sent.
CREATE TABLE reports (
  day     CHAR(10) CHARACTER SET ascii NOT NULL PRIMARY KEY,
  sent_us BIGINT   NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- +goose Down
DROP TABLE reports;
DROP TABLE throttles;
DROP TABLE attempts;
