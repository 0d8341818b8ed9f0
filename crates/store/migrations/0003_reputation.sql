-- What becomes of mail, counted for reputation; reviews, pauses, and the allowances of what was added later.

-- One local day of acceptance of one sender, tag and provider. reported: spam reports about that day's mails; deferred:
-- mails that were put off at least once.
CREATE TABLE outcome_day (
    account_id BIGINT NOT NULL,
    day        BIGINT NOT NULL,
    sender_id  BIGINT NOT NULL,
    tag        TEXT   NOT NULL,
    provider   TEXT   NOT NULL,
    domain_id  BIGINT NOT NULL,
    accepted   BIGINT NOT NULL,
    delivered  BIGINT NOT NULL,
    invalid    BIGINT NOT NULL,
    spam       BIGINT NOT NULL,
    failed     BIGINT NOT NULL,
    reported   BIGINT NOT NULL,
    deferred   BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, sender_id, tag, provider)
){clustered};
-- Of earlier days neither tag nor provider was counted.
INSERT INTO outcome_day (account_id, day, sender_id, tag, provider, domain_id, accepted, delivered, invalid, spam, failed, reported, deferred)
    SELECT u.account_id, u.day, u.sender_id, '', '', COALESCE((SELECT s.domain_id FROM sender s WHERE s.account_id = u.account_id
    AND s.sender_id = u.sender_id), 0), u.accepted, u.delivered, u.invalid, u.spam, u.failed, 0, 0 FROM usage_day u;
DROP TABLE usage_day;

-- Unique recipients of one local day of acceptance, as a sketch (domain::quota::reach). kind: 'sender' (name is its id), 'tag',
-- 'provider'.
CREATE TABLE reach (
    account_id BIGINT NOT NULL,
    day        BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    domain_id  BIGINT NOT NULL,
    sketch     {bytes} NOT NULL,
    PRIMARY KEY (account_id, day, kind, name)
);
CREATE INDEX reach_day ON reach (day);

-- What became known in five minutes from `slice` on. reporting: of delivered, those to providers that report; reported: reports
-- about such mails; judged: providers' verdicts on contents, and reports from elsewhere. blamed and accused: the same two, whenever
-- they came, about mails accepted in those five minutes.
CREATE TABLE evidence (
    account_id BIGINT NOT NULL,
    slice      BIGINT NOT NULL,
    sender_id  BIGINT NOT NULL,
    domain_id  BIGINT NOT NULL,
    accepted   BIGINT NOT NULL,
    delivered  BIGINT NOT NULL,
    invalid    BIGINT NOT NULL,
    spam       BIGINT NOT NULL,
    failed     BIGINT NOT NULL,
    reported   BIGINT NOT NULL,
    deferred   BIGINT NOT NULL,
    judged     BIGINT NOT NULL,
    reporting  BIGINT NOT NULL,
    blamed     BIGINT NOT NULL,
    accused    BIGINT NOT NULL,
    PRIMARY KEY (account_id, slice, sender_id)
){clustered};
CREATE INDEX evidence_slice ON evidence (slice);

-- A mail is reported once.
CREATE TABLE spam_report (
    account_id    BIGINT NOT NULL,
    message_id    BIGINT NOT NULL,
    number        BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    source        TEXT   NOT NULL,
    feedback_type TEXT   NOT NULL,
    reporter      TEXT   NOT NULL,
    detail        TEXT   NOT NULL,
    PRIMARY KEY (account_id, message_id, number)
);
CREATE INDEX spam_report_at ON spam_report (account_id, at);

-- ceiling_level: -1 is none. paused_at: set while sending is paused; pause_by: 'review', 'brake', 'operator'. evidence_from:
-- what was before counts for nothing. warming: rows of `warming` that still hold. reviewed_week: the local Monday's day number
-- of the last week that was reviewed; 0 is none.
ALTER TABLE account_state ADD COLUMN ceiling_level BIGINT NOT NULL DEFAULT -1;
ALTER TABLE account_state ADD COLUMN paused_at BIGINT;
ALTER TABLE account_state ADD COLUMN pause_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE account_state ADD COLUMN pause_by TEXT NOT NULL DEFAULT '';
ALTER TABLE account_state ADD COLUMN evidence_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account_state ADD COLUMN warming BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account_state ADD COLUMN reviewed_week BIGINT NOT NULL DEFAULT 0;
CREATE INDEX account_state_week ON account_state (reviewed_week, account_id);

CREATE INDEX account_state_paused ON account_state (account_id) WHERE paused_at IS NOT NULL;

-- Mail that an operator holds in the queue: of an account (0: of every account), to a domain (empty: to every domain).
CREATE TABLE suspension (
    account_id BIGINT NOT NULL,
    domain     TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    PRIMARY KEY (account_id, domain)
);

-- The allowance of a domain or sender address that a grown account added later; until met_at.
CREATE TABLE warming (
    account_id  BIGINT NOT NULL,
    subject     TEXT   NOT NULL,
    subject_id  BIGINT NOT NULL,
    name        TEXT   NOT NULL,
    level       BIGINT NOT NULL,
    daily_quota BIGINT NOT NULL,
    day         BIGINT NOT NULL,
    day_used    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    met_at      BIGINT,
    PRIMARY KEY (account_id, subject, subject_id)
);

-- The numbers under which something was decided, word for word.
CREATE TABLE quota_policy (
    version       TEXT   NOT NULL PRIMARY KEY,
    policy        TEXT   NOT NULL,
    first_used_at BIGINT NOT NULL
);

-- dossier and decision as JSON: from dossier and policy the decision can be made again.
CREATE TABLE quota_review (
    account_id  BIGINT NOT NULL,
    week        BIGINT NOT NULL,
    subject     TEXT   NOT NULL,
    subject_id  BIGINT NOT NULL,
    reviewed_at BIGINT NOT NULL,
    policy      TEXT   NOT NULL,
    dossier     TEXT   NOT NULL,
    decision    TEXT   NOT NULL,
    action      TEXT   NOT NULL,
    old_daily   BIGINT NOT NULL,
    new_daily   BIGINT NOT NULL,
    old_level   BIGINT NOT NULL,
    new_level   BIGINT NOT NULL,
    PRIMARY KEY (account_id, week, subject, subject_id)
);

-- Every change of a quota, whoever made it. record: what the brake saw, as JSON, with the policy's version.
ALTER TABLE quota_event ADD COLUMN subject TEXT NOT NULL DEFAULT 'account';
ALTER TABLE quota_event ADD COLUMN subject_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE quota_event ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE quota_event ADD COLUMN record TEXT NOT NULL DEFAULT '';
CREATE INDEX quota_event_at ON quota_event (account_id, at);
