-- +goose Up
CREATE TABLE rates (
  dataset    VARCHAR(64) NOT NULL PRIMARY KEY,
  version    INTEGER     NOT NULL,
  state      TEXT        NOT NULL,
  updated_us INTEGER     NOT NULL
);

CREATE TABLE width_override (
  id         INTEGER NOT NULL PRIMARY KEY,
  state      TEXT    NOT NULL,
  updated_us INTEGER NOT NULL
);

-- +goose Down
DROP TABLE width_override;
DROP TABLE rates;
