-- Rows of a database that Continuity 1.0.0 filled: see test_upgrade.py.

INSERT INTO auth_user
    (id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined) VALUES
(1, '!', NULL, false, 'ann', '', '', '', true, true, '2026-11-25 23:58:23.041098Z'),
(2, '!', NULL, false, 'ada', '', '', '', false, true, '2026-11-25 23:58:23.094644Z');

INSERT INTO django_content_type
    (id, app_label, model) VALUES
(10, 'consistency', 'monitorjob'),
(11, 'consistency', 'file'),
(12, 'consistency', 'anomaly'),
(13, 'consistency', 'mute'),
(14, 'consistency', 'scan'),
(15, 'consistency', 'scancheck');

INSERT INTO django_admin_log
    (id, action_time, object_id, object_repr, action_flag, change_message, content_type_id, user_id) VALUES
(1, '2026-11-25 23:58:23.781466Z', '1', 'stale_processing: file a', 2, 'Acknowledged until 2026-12-02 23:58 UTC: being requeued', 12, 1),
(2, '2026-11-25 23:58:23.865975Z', '2', 'stale_processing: file b', 2, 'Acknowledged until 2026-12-25 23:58 UTC, over REST: known to ada', 12, 2),
(3, '2026-11-25 23:58:24.289524Z', NULL, '2 anomalies, ticked one by one: Acknowledged until 2026-12-02 23:58 UTC: until Monday', 2, '2 anomalies, ticked one by one: Acknowledged until 2026-12-02 23:58 UTC: until Monday', 12, 1),
(4, '2026-11-25 23:58:24.402950Z', NULL, '2 anomalies, ticked one by one: Assigned to ann: your disk', 2, '2 anomalies, ticked one by one: Assigned to ann: your disk', 12, 1),
(5, '2026-11-25 23:58:24.448106Z', '7', 'stale_processing: file g', 2, 'Acknowledged until 2026-11-26 23:58 UTC: for an hour', 12, 1),
(6, '2026-11-25 23:58:24.513533Z', '7', 'stale_processing: file g', 2, 'Acknowledgement ended: not known after all', 12, 1),
(7, '2026-11-25 23:58:24.578364Z', '7', 'stale_processing: file g', 2, 'Assigned to ann', 12, 1),
(8, '2026-11-25 23:58:24.625837Z', '7', 'stale_processing: file g', 2, 'Note: the importer was restarted', 12, 1),
(9, '2026-11-25 23:58:24.675422Z', '1', 'mute of stale_processing until 2026-12-02T23:58:24Z', 1, 'Muted until 2026-12-02 23:58 UTC: the importer is mended on Monday', 13, 1),
(10, '2026-11-25 23:58:24.714600Z', '1', 'mute of stale_processing until 2026-12-02T23:58:24Z', 2, 'Unmuted: mended early', 13, 1),
(11, '2026-11-25 23:58:24.746583Z', '2', 'mute of unregistered_with_uuid until 2026-12-25T23:58:24Z', 1, 'Muted until 2026-12-25 23:58 UTC, over REST: left over from the move', 13, 2),
(12, '2026-11-25 23:58:25.151889Z', '3', 'mute of stale_processing until 2026-12-02T23:58:25Z', 1, 'Muted until 2026-12-02 23:58 UTC: the second importer', 13, 1);

INSERT INTO consistency_scan
    (id, database, recorded_at, snapshot_at, trigger, actor, complete, status, duration_ms, affected_files, new, returned, resolved, ongoing) VALUES
(1, 'default', '2026-11-25 23:58:23.213597Z', '2026-11-25 23:58:23.184473Z', 'command', 'tester', true, 'degraded', 74, 9, 9, 0, 0, 0),
(2, 'default', '2026-11-25 23:58:23.363939Z', '2026-11-25 23:58:23.342499Z', 'command', 'tester', true, 'degraded', 53, 6, 0, 0, 3, 6),
(3, 'default', '2026-11-25 23:58:23.953134Z', '2026-11-25 23:58:23.929184Z', 'command', 'tester', true, 'degraded', 76, 7, 0, 1, 0, 6),
(4, 'default', '2026-11-25 23:58:24.097323Z', '2026-11-25 23:58:24.085462Z', 'command', 'tester', true, 'degraded', 54, 5, 0, 0, 1, 5),
(5, 'default', '2026-11-25 23:58:24.827856Z', '2026-11-25 23:58:24.799449Z', 'api', 'tester', true, 'degraded', 61, 6, 5, 0, 0, 6),
(6, 'default', '2026-11-25 23:58:24.969242Z', '2026-11-25 23:58:24.960011Z', 'command', 'tester', false, 'degraded', 54, NULL, 1, 1, 0, 4);

INSERT INTO consistency_scancheck
    (id, check_name, severity, outcome, count, acknowledged, muted, duration_ms, error, doubted, new, returned, resolved, ongoing, scan_id, database) VALUES
(1, 'stale_processing', 2, 'found', 8, 0, 0, 9, '', false, 8, 0, 0, 0, 1, 'default'),
(2, 'unregistered_with_uuid', 1, 'found', 1, 0, 0, 11, '', false, 1, 0, 0, 0, 1, 'default'),
(3, 'stale_processing', 2, 'found', 5, 0, 0, 9, '', false, 0, 0, 3, 5, 2, 'default'),
(4, 'unregistered_with_uuid', 1, 'found', 1, 0, 0, 8, '', false, 0, 0, 0, 1, 2, 'default'),
(5, 'stale_processing', 2, 'found', 6, 2, 0, 12, '', false, 0, 1, 0, 5, 3, 'default'),
(6, 'unregistered_with_uuid', 1, 'found', 1, 0, 0, 5, '', false, 0, 0, 0, 1, 3, 'default'),
(7, 'stale_processing', 2, 'found', 5, 1, 0, 7, '', false, 0, 0, 1, 5, 4, 'default'),
(8, 'stale_processing', 2, 'found', 5, 3, 0, 9, '', false, 0, 0, 0, 5, 5, 'default'),
(9, 'unregistered_with_uuid', 1, 'found', 1, 0, 1, 5, '', false, 0, 0, 0, 1, 5, 'default'),
(10, 'moody', 2, 'found', 5, 0, 0, 8, '', false, 5, 0, 0, 0, 5, 'default'),
(11, 'stale_processing', 2, 'found', 6, 2, 0, 9, '', true, 1, 1, 0, 4, 6, 'default'),
(12, 'moody', 2, 'could_not_run', NULL, 0, 0, 1, 'at the first look: not today', false, 0, 0, 0, 0, 6, 'default');

INSERT INTO consistency_anomaly
    (id, check_name, database, object_type, object_id, severity, detail, file_uuid, file_name, status, state, first_seen, appeared_at, appeared_scan, last_seen, last_scan, times_seen, resolved_at, returned_count, acknowledged_by, acknowledged_at, acknowledged_until, acknowledged_reason, assignee, note, hearing, acts) VALUES
(1, 'stale_processing', 'default', 'file', 'a', 2, 'job_id is null', 'a', 'a.mp4', 'processing', 'resolved', '2026-11-25 23:58:23.184473Z', '2026-11-25 23:58:23.184473Z', 1, '2026-11-25 23:58:23.929184Z', 3, 3, '2026-11-25 23:58:24.085462Z', 0, 'ann', '2026-11-25 23:58:23.785052Z', '2026-12-02 23:58:23.778544Z', 'being requeued', NULL, '', 'silent', '{}'),
(2, 'stale_processing', 'default', 'file', 'b', 2, 'job_id is null', 'b', 'b.mp4', 'processing', 'ongoing', '2026-11-25 23:58:23.184473Z', '2026-11-25 23:58:23.184473Z', 1, '2026-11-25 23:58:24.960011Z', 6, 6, NULL, 0, 'ada', '2026-11-25 23:58:23.864369Z', '2026-11-25 23:57:25.075813Z', 'known to ada', NULL, '', 'silent', '{}'),
(3, 'stale_processing', 'default', 'file', 'c', 2, 'job_id is null', 'c', 'c.mp4', 'processing', 'ongoing', '2026-11-25 23:58:23.184473Z', '2026-11-25 23:58:23.929184Z', 3, '2026-11-25 23:58:24.960011Z', 6, 5, NULL, 1, NULL, NULL, NULL, NULL, NULL, '', 'heard', '{}'),
(4, 'stale_processing', 'default', 'file', 'd', 2, 'job_id is null', 'd', 'd.mp4', 'processing', 'returned', '2026-11-25 23:58:23.184473Z', '2026-11-25 23:58:24.960011Z', 6, '2026-11-25 23:58:24.960011Z', 6, 2, NULL, 1, NULL, NULL, NULL, NULL, NULL, 'asked the uploader', 'heard', '{}'),
(5, 'stale_processing', 'default', 'file', 'e', 2, 'job_id is null', 'e', 'e.mp4', 'processing', 'ongoing', '2026-11-25 23:58:23.184473Z', '2026-11-25 23:58:23.184473Z', 1, '2026-11-25 23:58:24.799449Z', 5, 5, NULL, 0, 'ann', '2026-11-25 23:58:24.294646Z', '2099-01-01 00:00:00.000000Z', 'until Monday', 'ann', '', 'silent', '{3,4}'),
(6, 'stale_processing', 'default', 'file', 'f', 2, 'job_id is null', 'f', 'f.mp4', 'processing', 'ongoing', '2026-11-25 23:58:23.184473Z', '2026-11-25 23:58:23.184473Z', 1, '2026-11-25 23:58:24.960011Z', 6, 6, NULL, 0, 'ann', '2026-11-25 23:58:24.294646Z', '2099-01-01 00:00:00.000000Z', 'until Monday', 'ann', '', 'silent', '{3,4}'),
(7, 'stale_processing', 'default', 'file', 'g', 2, 'job_id is null', 'g', 'g.mp4', 'processing', 'ongoing', '2026-11-25 23:58:23.184473Z', '2026-11-25 23:58:23.184473Z', 1, '2026-11-25 23:58:24.960011Z', 6, 6, NULL, 0, NULL, NULL, NULL, NULL, 'ann', 'the importer was restarted', 'heard', '{}'),
(8, 'stale_processing', 'default', 'file', 'h', 2, 'job_id is null', 'h', 'h.mp4', 'processing', 'resolved', '2026-11-25 23:58:23.184473Z', '2026-11-25 23:58:23.184473Z', 1, '2026-11-25 23:58:23.184473Z', 1, 1, '2026-11-25 23:58:23.342499Z', 0, NULL, NULL, NULL, NULL, NULL, '', 'heard', '{}'),
(9, 'unregistered_with_uuid', 'default', 'file', 'left', 1, 'row left over from a migration', 'left', 'left.mp4', 'unregistered', 'ongoing', '2026-11-25 23:58:23.184473Z', '2026-11-25 23:58:23.184473Z', 1, '2026-11-25 23:58:24.799449Z', 5, 4, NULL, 0, NULL, NULL, NULL, NULL, NULL, '', 'silent', '{}'),
(28, 'moody', 'default', 'file', 'b', 2, 'broken', 'b', 'b.mp4', 'processing', 'new', '2026-11-25 23:58:24.799449Z', '2026-11-25 23:58:24.799449Z', 5, '2026-11-25 23:58:24.799449Z', 5, 1, NULL, 0, NULL, NULL, NULL, NULL, NULL, '', 'heard', '{}'),
(29, 'moody', 'default', 'file', 'c', 2, 'broken', 'c', 'c.mp4', 'processing', 'new', '2026-11-25 23:58:24.799449Z', '2026-11-25 23:58:24.799449Z', 5, '2026-11-25 23:58:24.799449Z', 5, 1, NULL, 0, NULL, NULL, NULL, NULL, NULL, '', 'heard', '{}'),
(30, 'moody', 'default', 'file', 'e', 2, 'broken', 'e', 'e.mp4', 'processing', 'new', '2026-11-25 23:58:24.799449Z', '2026-11-25 23:58:24.799449Z', 5, '2026-11-25 23:58:24.799449Z', 5, 1, NULL, 0, NULL, NULL, NULL, NULL, NULL, '', 'heard', '{}'),
(31, 'moody', 'default', 'file', 'f', 2, 'broken', 'f', 'f.mp4', 'processing', 'new', '2026-11-25 23:58:24.799449Z', '2026-11-25 23:58:24.799449Z', 5, '2026-11-25 23:58:24.799449Z', 5, 1, NULL, 0, NULL, NULL, NULL, NULL, NULL, '', 'heard', '{}'),
(32, 'moody', 'default', 'file', 'g', 2, 'broken', 'g', 'g.mp4', 'processing', 'new', '2026-11-25 23:58:24.799449Z', '2026-11-25 23:58:24.799449Z', 5, '2026-11-25 23:58:24.799449Z', 5, 1, NULL, 0, NULL, NULL, NULL, NULL, NULL, '', 'heard', '{}'),
(44, 'stale_processing', 'default', 'file', 'i', 2, 'job_id is null', 'i', 'i.mp4', 'processing', 'new', '2026-11-25 23:58:24.960011Z', '2026-11-25 23:58:24.960011Z', 6, '2026-11-25 23:58:24.960011Z', 6, 1, NULL, 0, NULL, NULL, NULL, NULL, NULL, '', 'heard', '{}'),
(52, 'long_gone', 'default', 'file', 'old', 2, 'job 7 does not exist', 'old', 'old.mp4', 'processing', 'ongoing', '2026-11-25 23:58:25.223622Z', '2026-11-25 23:58:25.223622Z', 7, '2026-11-25 23:58:25.223622Z', 7, 9, NULL, 0, NULL, NULL, NULL, NULL, NULL, '', 'heard', '{}');

INSERT INTO consistency_mute
    (id, check_name, database, created_at, "by", reason, until, sticky, mark, ended_at, ended_because) VALUES
(1, 'stale_processing', 'default', '2026-11-25 23:58:24.672548Z', 'ann', 'the importer is mended on Monday', '2026-12-02 23:58:24.657640Z', false, 5, '2026-11-25 23:58:24.709816Z', 'unmuted'),
(2, 'unregistered_with_uuid', 'default', '2026-11-25 23:58:24.743598Z', 'ada', 'left over from the move', '2099-01-01 00:00:00.000000Z', true, 1, NULL, NULL),
(3, 'stale_processing', 'default', '2026-11-25 23:58:25.135623Z', 'ann', 'the second importer', '2099-01-01 00:00:00.000000Z', false, 7, NULL, NULL);
