-- +goose Up
ALTER TABLE shop_settings ADD COLUMN datasets VARCHAR(4000) NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN datasets VARCHAR(4000) NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE runs DROP COLUMN datasets;
ALTER TABLE shop_settings DROP COLUMN datasets;
