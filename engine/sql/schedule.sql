-- name: schedule.next_due
-- When a cron or a schedule must fire next.
SELECT least((SELECT min(due_at) FROM engine_cron WHERE due_at IS NOT NULL),
             (SELECT min(due_at) FROM engine_schedule WHERE due_at IS NOT NULL));
