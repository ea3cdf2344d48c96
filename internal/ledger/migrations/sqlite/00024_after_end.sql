-- +goose Up
ALTER TABLE shop_settings ADD COLUMN after_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN after_us INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE runs DROP COLUMN after_us;
ALTER TABLE shop_settings DROP COLUMN after_us;
