-- +goose Up
-- Only these of the configured datasets, with a space between; empty: all. Of a run, as it was planned.
ALTER TABLE shop_settings ADD COLUMN datasets VARCHAR(4000) CHARACTER SET ascii NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN datasets VARCHAR(4000) CHARACTER SET ascii NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE runs DROP COLUMN datasets;
ALTER TABLE shop_settings DROP COLUMN datasets;
