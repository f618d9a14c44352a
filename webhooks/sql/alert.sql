-- name: alert.pulse
-- What there is to do now, and whether anybody could ask for a test at any moment.
SELECT EXISTS (SELECT FROM webhooks_alertrule
                WHERE is_enabled AND check_at <= %(now)s::timestamptz) AS rules,
       EXISTS (SELECT FROM webhooks_failedruns) AS failures,
       EXISTS (SELECT FROM webhooks_alert WHERE notify_at <= %(now)s::timestamptz) AS untold,
       EXISTS (SELECT FROM webhooks_alertnotification
                WHERE state = 'PENDING' AND due_at <= %(now)s::timestamptz) AS unsent,
       EXISTS (SELECT FROM webhooks_alertchannel) AS channels;

-- name: alert.take_turn
-- Whoever has the turn alone looks at what the settings of tenants ask for; it ends with the transaction.
SELECT pg_try_advisory_xact_lock(hashtextextended('hatchet.alerts', 0));

-- name: alert.take_rules
-- Rules that are due, each for one engine: the next look is as far away for the others.
WITH due AS (
    SELECT r.id, t.slug FROM webhooks_alertrule r JOIN tenants_tenant t ON t.id = r.tenant_id
     WHERE r.is_enabled AND r.check_at <= %(now)s::timestamptz AND t.archived_at IS NULL
     ORDER BY r.check_at, r.id LIMIT %(limit)s::int FOR UPDATE OF r SKIP LOCKED
)
UPDATE webhooks_alertrule r SET check_at = %(next)s::timestamptz FROM due WHERE r.id = due.id
RETURNING r.id, r.tenant_id, due.slug, r.name, r.kind, r.settings::text, r.runbook;

-- name: alert.lock_rule
-- Nothing, if it was deleted or switched off meanwhile.
SELECT id FROM webhooks_alertrule WHERE id = %(rule_id)s::uuid AND is_enabled FOR SHARE;

-- name: alert.count_runs
-- Runs by when they were triggered, from the tallies.
SELECT coalesce(sum(delta), 0)::bigint FROM engine_runtally
 WHERE tenant_id = %(tenant_id)s::uuid AND minute >= %(since)s::timestamptz
   AND status = ANY(%(statuses)s::smallint[])
   AND (%(workflow_ids)s::uuid[] = '{}' OR workflow_id = ANY(%(workflow_ids)s::uuid[]));

-- name: alert.waiting_actions
-- Actions with waiting tasks: a loose index scan, one step an action and priority. The oldest are looked for among
-- the first of each, as tasks wait in the order of their ids.
WITH RECURSIVE actions AS (
    (SELECT action_id, queue_priority FROM engine_task
      WHERE tenant_id = %(tenant_id)s::uuid AND status = :Status.QUEUED AND NOT is_delayed
      ORDER BY action_id, queue_priority DESC LIMIT 1)
    UNION ALL
    SELECT n.action_id, n.queue_priority FROM actions a CROSS JOIN LATERAL (
        (SELECT t.action_id, t.queue_priority FROM engine_task t
          WHERE t.tenant_id = %(tenant_id)s::uuid AND t.status = :Status.QUEUED AND NOT t.is_delayed
            AND t.action_id = a.action_id AND t.queue_priority < a.queue_priority
          ORDER BY t.queue_priority DESC LIMIT 1)
        UNION ALL
        (SELECT t.action_id, t.queue_priority FROM engine_task t
          WHERE t.tenant_id = %(tenant_id)s::uuid AND t.status = :Status.QUEUED AND NOT t.is_delayed
            AND t.action_id > a.action_id
          ORDER BY t.action_id, t.queue_priority DESC LIMIT 1)
        LIMIT 1) n
), served AS (
    SELECT DISTINCT unnest(actions) AS action_id FROM engine_worker
     WHERE tenant_id = %(tenant_id)s::uuid AND is_active AND NOT is_paused
       AND last_heartbeat_at > %(silent_since)s::timestamptz
)
SELECT a.action_id, min(q.queued_at) AS queued_at,
       a.action_id IN (SELECT action_id FROM served) AS has_worker
  FROM (SELECT * FROM actions LIMIT %(limit)s::int) a CROSS JOIN LATERAL (
        SELECT t.queued_at FROM engine_task t
         WHERE t.tenant_id = %(tenant_id)s::uuid AND t.status = :Status.QUEUED AND NOT t.is_delayed
           AND t.action_id = a.action_id AND t.queue_priority = a.queue_priority
         ORDER BY t.id LIMIT 20) q
 GROUP BY a.action_id ORDER BY min(q.queued_at), a.action_id;

-- name: alert.missed_crons
-- Crons whose last time passed without them, and those that are overdue.
SELECT c.id, c.name, c.expression, w.name AS workflow_name, m.cause,
       coalesce(m.count, 1)::bigint AS number, coalesce(m.last_at, c.due_at) AS last_at
  FROM engine_cron c
  JOIN engine_workflow w ON w.id = c.workflow_id
  LEFT JOIN LATERAL (
        SELECT m.cause, m.count, m.last_at FROM engine_cronmiss m
         WHERE m.cron_id = c.id AND m.recorded_at > %(since)s::timestamptz
           AND m.cause <> %(paused)s::smallint
           AND (c.fired_at IS NULL OR c.fired_at < m.last_at)
         ORDER BY m.id DESC LIMIT 1) m ON true
 WHERE c.tenant_id = %(tenant_id)s::uuid AND c.is_enabled
   AND (m.cause IS NOT NULL OR c.due_at < %(overdue_since)s::timestamptz)
 ORDER BY c.id LIMIT %(limit)s::int;

-- name: alert.health
-- Of the engines and the database: who is silent, who schedules this tenant, what is used up.
SELECT (SELECT coalesce(array_agg(p.host || ' ' || left(p.id::text, 8) ORDER BY p.id), '{}')
          FROM engine_engineprocess p
         WHERE p.heartbeat_at < %(silent_since)s::timestamptz) AS silent_engines,
       EXISTS (SELECT FROM engine_lease l
                WHERE l.tenant_id = %(tenant_id)s::uuid AND l.engine_id IS NOT NULL
                  AND l.expires_at > %(silent_since)s::timestamptz) AS is_scheduled,
       (SELECT count(*) FROM pg_stat_activity
         WHERE backend_type = 'client backend')::int AS connections,
       current_setting('max_connections')::int AS most_connections,
       coalesce((SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity
                  WHERE datname = current_database() AND backend_type = 'client backend'
                    AND pid <> pg_backend_pid()), 0)::float8 AS oldest_transaction_seconds,
       (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database())::bigint AS unfrozen;

-- name: alert.open
-- What was found: a new alert, or one that is open already and has been seen again. A new one is told at once, or as
-- soon as the last of its kind was told long enough ago; with `repeats` one that is open is told again, too.
WITH given AS (
    SELECT u.*, t.alert_frequency_seconds
      FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(keys)s::text[], %(titles)s::text[],
                  %(texts)s::text[], %(links)s::text[], %(counts)s::bigint[])
           AS u(id, tenant_id, dedup_key, title, text, link, count)
      JOIN tenants_tenant t ON t.id = u.tenant_id AND t.deleted_at IS NULL
)
INSERT INTO webhooks_alert AS a (
    id, tenant_id, rule_id, rule_name, kind, dedup_key, title, text, link, runbook, count, opened_at,
    last_seen_at, acknowledged_by, notify_at)
SELECT g.id, g.tenant_id, %(rule_id)s::uuid, %(rule_name)s::text, %(kind)s::text, g.dedup_key, g.title, g.text,
       g.link, %(runbook)s::text, g.count, %(now)s::timestamptz, %(now)s::timestamptz, '',
       greatest(%(now)s::timestamptz, (
           SELECT p.last_notified_at + make_interval(secs => g.alert_frequency_seconds)
             FROM webhooks_alert p
            WHERE p.tenant_id = g.tenant_id AND p.dedup_key = g.dedup_key
            ORDER BY p.id DESC LIMIT 1))
  FROM given g ORDER BY g.tenant_id, g.dedup_key
ON CONFLICT (tenant_id, dedup_key) WHERE resolved_at IS NULL DO UPDATE
   SET title = excluded.title, text = excluded.text, link = excluded.link, last_seen_at = excluded.last_seen_at,
       count = a.count + excluded.count,
       notify_at = CASE WHEN %(repeats)s::boolean THEN excluded.last_seen_at ELSE a.notify_at END
RETURNING a.id, a.tenant_id;

-- name: alert.resolve
-- Alerts of a rule that are open and were not found any more. Whoever was told of one is told of its end.
UPDATE webhooks_alert
   SET resolved_at = %(now)s::timestamptz,
       notify_at = CASE WHEN last_notified_at IS NOT NULL THEN %(now)s::timestamptz END
 WHERE tenant_id = %(tenant_id)s::uuid AND rule_id = %(rule_id)s::uuid AND resolved_at IS NULL
   AND dedup_key <> ALL(%(keys)s::text[])
RETURNING id, tenant_id;

-- name: alert.take_failures
-- Failed runs of tenants that were not told of any for long enough, added up, and the notes of them gone.
WITH ready AS MATERIALIZED (
    SELECT t.id, t.slug FROM tenants_tenant t
     WHERE t.alerts_of_failures AND t.archived_at IS NULL
       AND EXISTS (SELECT FROM webhooks_failedruns f WHERE f.tenant_id = t.id)
       AND NOT EXISTS (
           SELECT FROM webhooks_alert a
            WHERE a.tenant_id = t.id AND a.dedup_key = %(key)s::text
              AND a.last_notified_at
                  > %(now)s::timestamptz - make_interval(secs => t.alert_frequency_seconds))
     ORDER BY t.id LIMIT %(limit)s::int
), taken AS (
    DELETE FROM webhooks_failedruns f USING ready WHERE f.tenant_id = ready.id
    RETURNING f.tenant_id, f.workflow_id, f.run_id, f.count, f.at
)
SELECT s.tenant_id, ready.slug, w.name AS workflow_name, s.run_id, s.number
  FROM (SELECT tenant_id, workflow_id, (array_agg(run_id ORDER BY at DESC))[1] AS run_id,
               sum(count)::bigint AS number
          FROM taken GROUP BY tenant_id, workflow_id) s
  JOIN ready ON ready.id = s.tenant_id
  LEFT JOIN engine_workflow w ON w.id = s.workflow_id
 ORDER BY s.tenant_id, s.number DESC, s.workflow_id;

-- name: alert.end_failures
-- Nothing failed for as long as people are left alone; and notes for tenants that do not want them any more.
WITH ended AS (
    UPDATE webhooks_alert a SET resolved_at = %(now)s::timestamptz, notify_at = NULL
      FROM tenants_tenant t
     WHERE t.id = a.tenant_id AND a.dedup_key = %(key)s::text AND a.resolved_at IS NULL
       AND a.notify_at IS NULL
       AND a.last_seen_at < %(now)s::timestamptz - make_interval(secs => t.alert_frequency_seconds)
       AND NOT EXISTS (SELECT FROM webhooks_failedruns f WHERE f.tenant_id = t.id)
    RETURNING a.id, a.tenant_id
), unwanted AS (
    DELETE FROM webhooks_failedruns f USING tenants_tenant t
     WHERE t.id = f.tenant_id AND NOT t.alerts_of_failures
)
SELECT id, tenant_id FROM ended;

-- name: alert.expiring_tokens
-- API tokens that end soon, of tenants that want to know; not those that were never to live longer.
SELECT t.id AS tenant_id, t.slug, k.id AS token_id, k.name, k.expires_at
  FROM tenants_apitoken k JOIN tenants_tenant t ON t.id = k.tenant_id
 WHERE k.expires_at > %(now)s::timestamptz AND k.expires_at <= %(before)s::timestamptz
   AND k.revoked_at IS NULL AND k.replaced_by_id IS NULL AND NOT k.is_internal
   AND k.expires_at - k.created_at > %(before)s::timestamptz - %(now)s::timestamptz
   AND t.alerts_of_tokens AND t.archived_at IS NULL
 ORDER BY k.expires_at, k.id LIMIT %(limit)s::int;

-- name: alert.end_tokens
-- Alerts of tokens that ended, were revoked or replaced: people who did that know.
UPDATE webhooks_alert a SET resolved_at = %(now)s::timestamptz, notify_at = NULL
 WHERE a.kind = %(kind)s::text AND a.resolved_at IS NULL
   AND NOT EXISTS (
       SELECT FROM tenants_apitoken k
        WHERE k.id = substring(a.dedup_key FROM 7)::uuid AND k.tenant_id = a.tenant_id
          AND k.revoked_at IS NULL AND k.replaced_by_id IS NULL
          AND k.expires_at > %(now)s::timestamptz)
RETURNING a.id, a.tenant_id;

-- name: alert.used_up
-- Limits that tenants have reached, or nearly, and want to know of; windows that are over do not count.
SELECT l.tenant_id, t.slug, l.resource, l.value, coalesce(l.limit_value, d.most) AS most
  FROM tenants_resourcelimit l
  JOIN unnest(%(resources)s::text[], %(mosts)s::bigint[], %(alarms)s::bigint[], %(windows)s::bigint[])
       AS d(resource, most, alarm, window_seconds) ON d.resource = l.resource
  JOIN tenants_tenant t ON t.id = l.tenant_id AND t.alerts_of_limits AND t.archived_at IS NULL
 WHERE l.value >= coalesce(l.alarm_value, l.limit_value, d.alarm)
   AND (l.window_began_at IS NULL
        OR l.window_began_at + make_interval(secs => d.window_seconds) > %(now)s::timestamptz)
 ORDER BY l.tenant_id, l.resource;

-- name: alert.end_limits
-- Alerts of limits that are not found any more.
UPDATE webhooks_alert a
   SET resolved_at = %(now)s::timestamptz,
       notify_at = CASE WHEN last_notified_at IS NOT NULL THEN %(now)s::timestamptz END
 WHERE a.kind = %(kind)s::text AND a.resolved_at IS NULL
   AND NOT EXISTS (SELECT FROM unnest(%(tenant_ids)s::uuid[], %(keys)s::text[]) AS u(tenant_id, dedup_key)
                    WHERE u.tenant_id = a.tenant_id AND u.dedup_key = a.dedup_key)
RETURNING id, tenant_id;

-- name: alert.tell
-- Alerts of which people are to be told: their messages to every channel, and to endpoints that ask for them. One
-- that is silenced waits until it is not; of one that somebody has acknowledged only the end is told.
WITH due AS MATERIALIZED (
    SELECT a.id, greatest(a.silenced_until, r.silenced_until) AS silenced_until,
           coalesce(r.channel_ids, '{}') AS channel_ids
      FROM webhooks_alert a LEFT JOIN webhooks_alertrule r ON r.id = a.rule_id
     WHERE a.notify_at <= %(now)s::timestamptz
     ORDER BY a.notify_at, a.id LIMIT %(limit)s::int FOR UPDATE OF a SKIP LOCKED
), told AS (
    UPDATE webhooks_alert a
       SET notify_at = CASE WHEN due.silenced_until > %(now)s::timestamptz AND a.resolved_at IS NULL
                            THEN due.silenced_until END,
           last_notified_at = CASE WHEN due.silenced_until > %(now)s::timestamptz
                                     OR (a.acknowledged_at IS NOT NULL AND a.resolved_at IS NULL)
                                   THEN a.last_notified_at ELSE %(now)s::timestamptz END
      FROM due, webhooks_alert b WHERE a.id = due.id AND b.id = due.id
    RETURNING a.*, due.channel_ids,
              CASE WHEN due.silenced_until > %(now)s::timestamptz THEN NULL
                   WHEN a.resolved_at IS NOT NULL THEN 'RESOLVED'
                   WHEN a.acknowledged_at IS NOT NULL THEN NULL
                   WHEN b.last_notified_at IS NOT NULL THEN 'REPEATED' ELSE 'OPENED' END AS event
), tenants AS (
    UPDATE tenants_tenant t SET last_alerted_at = %(now)s::timestamptz
     WHERE t.id IN (SELECT tenant_id FROM told WHERE event IN ('OPENED', 'REPEATED'))
    RETURNING t.id
), ways AS (
    SELECT w.id AS alert_id, w.tenant_id, w.event, c.id AS channel_id, '' AS address
      FROM told w JOIN webhooks_alertchannel c ON c.tenant_id = w.tenant_id
     WHERE c.kind <> 'EMAIL' AND NOT c.is_paused
       AND (w.channel_ids = '{}' OR c.id = ANY(w.channel_ids))
    UNION ALL
    (SELECT DISTINCT ON (w.id, m.address) w.id, w.tenant_id, w.event, m.channel_id, m.address
      FROM told w CROSS JOIN LATERAL (
        SELECT c.id AS channel_id, lower(e.address) AS address
          FROM webhooks_alertchannel c
         CROSS JOIN LATERAL jsonb_array_elements_text(c.settings -> 'emails') AS e(address)
         WHERE c.tenant_id = w.tenant_id AND c.kind = 'EMAIL' AND NOT c.is_paused
           AND (w.channel_ids = '{}' OR c.id = ANY(w.channel_ids))
        UNION ALL
        SELECT NULL::uuid, lower(u.email)
          FROM tenants_tenant t
          JOIN tenants_member b ON b.tenant_id = t.id
          JOIN tenants_user u ON u.id = b.user_id AND u.is_active AND u.is_email_verified
         WHERE t.id = w.tenant_id AND t.alerts_members AND w.channel_ids = '{}'
           AND %(mails)s::boolean) m
     ORDER BY w.id, m.address, m.channel_id)
), sent AS (
    INSERT INTO webhooks_alertnotification (
        tenant_id, alert_id, channel_id, address, event, state, due_at, tries, error, created_at)
    SELECT tenant_id, alert_id, channel_id, address, event, 'PENDING', %(now)s::timestamptz, 0, '',
           %(now)s::timestamptz
      FROM ways WHERE event IS NOT NULL
), occurrences AS (
    INSERT INTO webhooks_occurrence (tenant_id, kind, subject_id, at, data)
    SELECT w.tenant_id, k.kind, w.id, %(now)s::timestamptz,
           jsonb_build_object('alertId', w.id, 'kind', w.kind, 'ruleName', w.rule_name, 'title', w.title,
                              'text', w.text, 'count', w.count, 'openedAt', w.opened_at,
                              'url', %(server_url)s::text || '/t/' || t.slug || '/alerts/' || w.id::text,
                              'runbook', w.runbook)
      FROM told w
      JOIN tenants_tenant t ON t.id = w.tenant_id
     CROSS JOIN LATERAL (SELECT CASE w.event WHEN 'RESOLVED' THEN 'alert.resolved'
                                             ELSE 'alert.opened' END AS kind) k
     WHERE w.event IS NOT NULL
       AND EXISTS (SELECT FROM webhooks_endpoint e
                    WHERE e.tenant_id = w.tenant_id AND k.kind = ANY(e.kinds))
)
SELECT id, tenant_id FROM told;

-- name: alert.claim
-- Messages that are due, for as long as an attempt may last: of one alert to one address nothing before what precedes
-- it, and to one channel only so many at a time.
WITH ranked AS (
    SELECT n.id, row_number() OVER (PARTITION BY n.channel_id, n.tenant_id ORDER BY n.due_at, n.id) AS place,
           n.channel_id
      FROM webhooks_alertnotification n
     WHERE n.state = 'PENDING' AND n.due_at <= %(now)s::timestamptz
       AND NOT EXISTS (SELECT FROM webhooks_alertnotification f
                        WHERE f.alert_id = n.alert_id AND f.channel_id IS NOT DISTINCT FROM n.channel_id
                          AND f.address = n.address AND f.state = 'PENDING' AND f.id < n.id)
), due AS (
    SELECT n.id FROM webhooks_alertnotification n
     WHERE n.id IN (
           SELECT r.id FROM ranked r
             LEFT JOIN unnest(%(channel_ids)s::uuid[], %(counts)s::int[]) AS b(channel_id, count)
               ON b.channel_id = r.channel_id
            WHERE r.place <= %(most)s::int - coalesce(b.count, 0)
            ORDER BY r.place, r.id LIMIT %(limit)s::int)
       AND n.state = 'PENDING' AND n.due_at <= %(now)s::timestamptz
     ORDER BY n.id FOR UPDATE SKIP LOCKED
)
UPDATE webhooks_alertnotification n
   SET claim_id = %(claim_id)s::uuid, due_at = %(until)s::timestamptz
  FROM due
  JOIN webhooks_alertnotification m ON m.id = due.id
  JOIN tenants_tenant t ON t.id = m.tenant_id
  LEFT JOIN webhooks_alertchannel c ON c.id = m.channel_id
  LEFT JOIN webhooks_alert a ON a.id = m.alert_id
 WHERE n.id = due.id
RETURNING n.id, n.channel_id, n.address, n.event, n.tries, n.created_at, t.name AS tenant_name, t.slug,
          coalesce(c.kind, CASE WHEN n.channel_id IS NULL THEN 'EMAIL' END) AS channel_kind,
          c.settings::text AS channel_settings, c.secret,
          a.id AS alert_id, a.kind, a.rule_name, a.title, a.text, a.link, a.runbook, a.count AS number, a.opened_at,
          a.acknowledged_by;

-- name: alert.record
-- What became of an attempt, unless somebody else has taken over meanwhile, and what it says about its channel.
WITH judged AS (
    UPDATE webhooks_alertnotification n
       SET state = %(state)s::text, due_at = %(due_at)s::timestamptz, claim_id = NULL, tries = n.tries + 1,
           status = %(status)s::smallint, error = %(error)s::text,
           finished_at = CASE WHEN %(state)s::text <> 'PENDING' THEN %(now)s::timestamptz END
     WHERE n.id = %(id)s::bigint AND n.claim_id = %(claim_id)s::uuid
    RETURNING n.channel_id, n.tenant_id
), channels AS (
    UPDATE webhooks_alertchannel c
       SET failing_since = CASE WHEN %(state)s::text <> 'DELIVERED'
                                THEN coalesce(c.failing_since, %(now)s::timestamptz) END,
           last_error = CASE WHEN %(state)s::text <> 'DELIVERED' THEN %(error)s::text ELSE '' END,
           last_delivered_at = CASE WHEN %(state)s::text = 'DELIVERED' THEN %(now)s::timestamptz
                                    ELSE c.last_delivered_at END
      FROM judged j WHERE c.id = j.channel_id
)
SELECT tenant_id FROM judged;

-- name: alert.sweep
-- Some of what is too old: alerts that ended, and messages.
WITH alerts AS (
    DELETE FROM webhooks_alert WHERE id IN (
        SELECT id FROM webhooks_alert
         WHERE id < %(before_id)s::uuid AND resolved_at < %(before)s::timestamptz
         ORDER BY id LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING id
), notifications AS (
    DELETE FROM webhooks_alertnotification WHERE id IN (
        SELECT id FROM webhooks_alertnotification WHERE created_at < %(before)s::timestamptz
         ORDER BY created_at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
    RETURNING id
)
SELECT (SELECT count(*) FROM alerts)::int AS alerts,
       (SELECT count(*) FROM notifications)::int AS notifications;
