-- Bills, collection, changes of packages, notices, and who did what.

-- On the line that grants a package's mails: when they can pay. With it, what lapses follows from the lines alone.
ALTER TABLE ledger ADD COLUMN valid_from BIGINT;
ALTER TABLE ledger ADD COLUMN valid_until BIGINT;
UPDATE ledger SET
    valid_from = (SELECT p.starts_at FROM package p WHERE p.account_id = ledger.account_id AND 'package:' || p.instance_id = ledger.to_account),
    valid_until = (SELECT p.ends_at FROM package p WHERE p.account_id = ledger.account_id AND 'package:' || p.instance_id = ledger.to_account)
    WHERE kind = 'purchase' AND unit = 'mail';
-- Lines by which something comes back to a source or is granted: few beside the sends.
CREATE INDEX ledger_target ON ledger (account_id, to_account, at, sequence) WHERE to_account <> 'consumed';

-- payg_mails: charged to pay-as-you-go and not yet billed. open_micros: billed and not yet paid. due_micros: of it, called
-- in. alert_floor: see domain::ledger::alert; -1 is silent.
ALTER TABLE account_state ADD COLUMN credit_limit_micros BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account_state ADD COLUMN open_micros BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account_state ADD COLUMN due_micros BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account_state ADD COLUMN overdue_since BIGINT;
-- changed_at: when money or mails last moved; the account's time does not run back behind it.
ALTER TABLE account_state ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account_state ADD COLUMN alert_percent BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account_state ADD COLUMN alert_floor BIGINT NOT NULL DEFAULT -1;

-- closed_as: 'refund' or 'upgrade', at refunded_at. phase_at: the next instant at which something begins or ends for it.
ALTER TABLE package ADD COLUMN closed_as TEXT;
ALTER TABLE package ADD COLUMN replaced_by TEXT;
ALTER TABLE package ADD COLUMN renewal_of TEXT;
ALTER TABLE package ADD COLUMN alert_percent BIGINT NOT NULL DEFAULT 0;
ALTER TABLE package ADD COLUMN alert_floor BIGINT NOT NULL DEFAULT -1;
ALTER TABLE package ADD COLUMN phase_at BIGINT;
UPDATE package SET phase_at = starts_at WHERE refunded_at IS NULL;
CREATE INDEX package_phase ON package (phase_at) WHERE phase_at IS NOT NULL;
CREATE INDEX package_order ON package (account_id, order_id);

CREATE TABLE purchase_order (
    account_id       BIGINT NOT NULL,
    order_id         BIGINT NOT NULL,
    kind             TEXT   NOT NULL,
    at               BIGINT NOT NULL,
    specification    BIGINT NOT NULL,
    quantity         BIGINT NOT NULL,
    amount_micros    BIGINT NOT NULL,
    related_instance TEXT,
    placed_by        TEXT   NOT NULL,
    PRIMARY KEY (account_id, order_id)
);
INSERT INTO purchase_order (account_id, order_id, kind, at, specification, quantity, amount_micros, placed_by)
    SELECT account_id, order_id, 'New', MIN(purchased_at), MIN(specification), COUNT(*), CAST(SUM(price_micros) AS BIGINT), ''
    FROM package GROUP BY account_id, order_id;
CREATE INDEX purchase_order_at ON purchase_order (account_id, at, order_id);

-- Usage of one clock hour of the account's zone by what paid, net of reversals; kept with every charge.
CREATE TABLE usage_hour (
    account_id    BIGINT NOT NULL,
    hour_start    BIGINT NOT NULL,
    hour_end      BIGINT NOT NULL,
    day           BIGINT NOT NULL,
    free_mails    BIGINT NOT NULL,
    package_mails BIGINT NOT NULL,
    payg_mails    BIGINT NOT NULL,
    billed_mails  BIGINT NOT NULL,
    billed_micros BIGINT NOT NULL,
    price_micros  BIGINT NOT NULL,
    bills         BIGINT NOT NULL,
    PRIMARY KEY (account_id, hour_start)
){clustered};
CREATE INDEX usage_hour_unbilled ON usage_hour (hour_end) WHERE payg_mails <> billed_mails;

-- What one package paid for mails accepted on one local day, net of reversals.
CREATE TABLE package_day (
    account_id  BIGINT NOT NULL,
    instance_id TEXT   NOT NULL,
    day         BIGINT NOT NULL,
    mails       BIGINT NOT NULL,
    PRIMARY KEY (account_id, instance_id, day)
){clustered};

-- R10. Number 1 is the hour's bill, 2 and on are adjustments of it.
CREATE TABLE bill (
    account_id    BIGINT NOT NULL,
    bill_id       BIGINT NOT NULL,
    hour_start    BIGINT NOT NULL,
    hour_end      BIGINT NOT NULL,
    day           BIGINT NOT NULL,
    number        BIGINT NOT NULL,
    mails         BIGINT NOT NULL,
    amount_micros BIGINT NOT NULL,
    price_micros  BIGINT NOT NULL,
    made_at       BIGINT NOT NULL,
    due_at        BIGINT,
    settled_at    BIGINT,
    settlement_id BIGINT,
    PRIMARY KEY (account_id, bill_id)
);
CREATE UNIQUE INDEX bill_hour ON bill (account_id, hour_start, number);
CREATE INDEX bill_open ON bill (account_id, hour_start) WHERE settled_at IS NULL;
CREATE INDEX bill_uncalled ON bill (hour_start, account_id) WHERE settled_at IS NULL AND due_at IS NULL;
CREATE INDEX bill_settlement ON bill (account_id, settlement_id) WHERE settlement_id IS NOT NULL;

-- R11: bills paid together.
CREATE TABLE settlement (
    account_id    BIGINT NOT NULL,
    settlement_id BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    cause         TEXT   NOT NULL,
    bills         BIGINT NOT NULL,
    amount_micros BIGINT NOT NULL,
    PRIMARY KEY (account_id, settlement_id)
);

-- Payments that a provider told of, by its event and by the payment itself: each counts once.
CREATE TABLE top_up (
    provider          TEXT   NOT NULL,
    payment_reference TEXT   NOT NULL,
    event_id          TEXT   NOT NULL,
    account_id        BIGINT NOT NULL,
    amount_micros     BIGINT NOT NULL,
    at                BIGINT NOT NULL,
    transaction_id    BIGINT NOT NULL,
    PRIMARY KEY (provider, payment_reference)
);
CREATE UNIQUE INDEX top_up_event ON top_up (provider, event_id);
CREATE INDEX top_up_account ON top_up (account_id, at);

CREATE TABLE contact (
    account_id BIGINT NOT NULL PRIMARY KEY,
    language   TEXT   NOT NULL,
    email      TEXT   NOT NULL,
    phone      TEXT   NOT NULL,
    by_email   BIGINT NOT NULL,
    by_sms     BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- One for each (what, channel): it happens at most once. state 0 waits, 1 handed over, 2 not worth saying any more.
CREATE TABLE notice (
    account_id  BIGINT NOT NULL,
    notice_key  TEXT   NOT NULL,
    channel     TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    instance_id TEXT   NOT NULL,
    lead_days   BIGINT NOT NULL,
    facts       TEXT   NOT NULL,
    due_at      BIGINT NOT NULL,
    until_at    BIGINT NOT NULL,
    state       BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    dispatch_id BIGINT,
    done_at     BIGINT,
    reason      TEXT   NOT NULL,
    PRIMARY KEY (account_id, notice_key, channel)
);
CREATE INDEX notice_due ON notice (next_at) WHERE state = 0;
CREATE INDEX notice_instance ON notice (account_id, instance_id);
CREATE INDEX notice_dispatch ON notice (account_id, dispatch_id) WHERE dispatch_id IS NOT NULL;

CREATE TABLE station_message (
    account_id BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    read_at    BIGINT,
    PRIMARY KEY (account_id, message_id)
);
CREATE INDEX station_message_unread ON station_message (account_id) WHERE read_at IS NULL;

-- Texts on their way to the SMS gateway. state 0 waits, 1 taken by the gateway, 2 given up.
CREATE TABLE sms (
    account_id BIGINT NOT NULL,
    sms_id     BIGINT NOT NULL,
    phone      TEXT   NOT NULL,
    text       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    until_at   BIGINT NOT NULL,
    state      BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    gateway_id TEXT   NOT NULL,
    error      TEXT   NOT NULL,
    done_at    BIGINT,
    PRIMARY KEY (account_id, sms_id)
);
CREATE INDEX sms_due ON sms (next_at) WHERE state = 0;

-- Who did what. account_id 0: to the whole installation.
CREATE TABLE audit (
    audit_id   BIGINT NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor_kind TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    account_id BIGINT NOT NULL,
    action     TEXT   NOT NULL,
    detail     TEXT   NOT NULL
);
CREATE INDEX audit_account ON audit (account_id, audit_id);
