-- +goose Up
-- How long keys outlive the end of a broadcast; 0: as policy.expire.after_end says. Of a run, as it was planned.
ALTER TABLE shop_settings ADD COLUMN after_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN after_us BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE runs DROP COLUMN after_us;
ALTER TABLE shop_settings DROP COLUMN after_us;
