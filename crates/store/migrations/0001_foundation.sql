-- One schema for SQLite and PostgreSQL. {bytes} is BLOB or BYTEA; {clustered} makes SQLite keep a table in the
-- order of its key (WITHOUT ROWID) and is nothing on PostgreSQL. Columns are BIGINT, TEXT or {bytes} only.
-- Instants are microseconds since the epoch, UTC; money is millionths; a yes or no is 1 or 0.
-- Every key leads with the account, so that accounts can be spread over several clusters.

CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- A process that hands out ids and leases deliveries. A lease is worth what its node's heartbeat is worth.
CREATE TABLE node (
    node_id      BIGINT NOT NULL PRIMARY KEY,
    number       BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX node_number ON node (number);

CREATE TABLE account (
    account_id    BIGINT NOT NULL PRIMARY KEY,
    name          TEXT   NOT NULL,
    email         TEXT   NOT NULL,
    phone         TEXT   NOT NULL,
    zone          TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX account_email ON account (email);

-- The few numbers of an account that every accepted mail changes.
CREATE TABLE account_state (
    account_id       BIGINT NOT NULL PRIMARY KEY,
    status           BIGINT NOT NULL,
    quota_level      BIGINT NOT NULL,
    daily_quota      BIGINT NOT NULL,
    quota_day        BIGINT NOT NULL,
    quota_day_used   BIGINT NOT NULL,
    quota_month      BIGINT NOT NULL,
    quota_month_used BIGINT NOT NULL,
    free_left        BIGINT NOT NULL,
    free_day         BIGINT NOT NULL,
    free_day_used    BIGINT NOT NULL,
    payg_mails       BIGINT NOT NULL,
    cash_micros      BIGINT NOT NULL,
    ledger_sequence  BIGINT NOT NULL
);

CREATE TABLE operator (
    operator_id   BIGINT NOT NULL PRIMARY KEY,
    email         TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX operator_email ON operator (email);

CREATE TABLE access_key (
    access_key_id TEXT   NOT NULL PRIMARY KEY,
    account_id    BIGINT NOT NULL,
    secret        TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    disabled_at   BIGINT
);
CREATE INDEX access_key_account ON access_key (account_id, access_key_id);

-- Console log-ins. The token itself is only in the browser's cookie.
CREATE TABLE session (
    token_hash   TEXT   NOT NULL PRIMARY KEY,
    subject_kind TEXT   NOT NULL,
    subject_id   BIGINT NOT NULL,
    csrf_token   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX session_expiry ON session (expires_at);

CREATE TABLE domain (
    account_id           BIGINT NOT NULL,
    domain_id            BIGINT NOT NULL,
    name                 TEXT   NOT NULL,
    ownership_token      TEXT   NOT NULL,
    dkim_selector        TEXT   NOT NULL,
    dkim_private_key     {bytes} NOT NULL,
    dkim_public_key      TEXT   NOT NULL,
    next_dkim_selector   TEXT,
    next_dkim_private_key {bytes},
    next_dkim_public_key TEXT,
    ownership_ok         BIGINT NOT NULL,
    spf_ok               BIGINT NOT NULL,
    dkim_ok              BIGINT NOT NULL,
    dmarc_ok             BIGINT NOT NULL,
    mx_ok                BIGINT NOT NULL,
    verified             BIGINT NOT NULL,
    operator_verified_at BIGINT,
    checked_at           BIGINT,
    password_hash        TEXT,
    created_at           BIGINT NOT NULL,
    PRIMARY KEY (account_id, domain_id)
);
CREATE UNIQUE INDEX domain_account_name ON domain (account_id, name);
-- Anyone may register a name; only one account can have proved that it is theirs.
CREATE UNIQUE INDEX domain_verified_name ON domain (name) WHERE verified = 1;

CREATE TABLE sender (
    account_id    BIGINT NOT NULL,
    sender_id     BIGINT NOT NULL,
    domain_id     BIGINT NOT NULL,
    address       TEXT   NOT NULL,
    send_type     TEXT   NOT NULL,
    reply_address TEXT   NOT NULL,
    password_hash TEXT,
    frozen        BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    deleted_at    BIGINT,
    PRIMARY KEY (account_id, sender_id)
);
CREATE UNIQUE INDEX sender_account_address ON sender (account_id, address) WHERE deleted_at IS NULL;
CREATE INDEX sender_address ON sender (address);
CREATE INDEX sender_domain ON sender (account_id, domain_id);

CREATE TABLE package (
    account_id    BIGINT NOT NULL,
    instance_id   TEXT   NOT NULL,
    specification BIGINT NOT NULL,
    granted       BIGINT NOT NULL,
    remaining     BIGINT NOT NULL,
    price_micros  BIGINT NOT NULL,
    order_id      BIGINT NOT NULL,
    purchased_at  BIGINT NOT NULL,
    starts_at     BIGINT NOT NULL,
    ends_at       BIGINT NOT NULL,
    zone          TEXT   NOT NULL,
    refunded_at   BIGINT,
    PRIMARY KEY (account_id, instance_id)
);

CREATE TABLE ledger (
    account_id     BIGINT NOT NULL,
    sequence       BIGINT NOT NULL,
    transaction_id BIGINT NOT NULL,
    at             BIGINT NOT NULL,
    kind           TEXT   NOT NULL,
    unit           TEXT   NOT NULL,
    from_account   TEXT   NOT NULL,
    to_account     TEXT   NOT NULL,
    amount         BIGINT NOT NULL,
    before_amount  BIGINT NOT NULL,
    after_amount   BIGINT NOT NULL,
    memo           TEXT   NOT NULL,
    PRIMARY KEY (account_id, sequence)
){clustered};
CREATE INDEX ledger_transaction ON ledger (account_id, transaction_id);
CREATE INDEX ledger_source ON ledger (account_id, from_account, at, sequence);

CREATE TABLE idempotency (
    account_id   BIGINT NOT NULL,
    idem_key     TEXT   NOT NULL,
    content_hash TEXT   NOT NULL,
    answer       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, idem_key)
){clustered};

CREATE TABLE api_nonce (
    access_key_id TEXT   NOT NULL,
    nonce         TEXT   NOT NULL,
    seen_at       BIGINT NOT NULL,
    PRIMARY KEY (access_key_id, nonce)
){clustered};
CREATE INDEX api_nonce_seen ON api_nonce (seen_at);

CREATE TABLE message (
    account_id      BIGINT NOT NULL,
    message_id      BIGINT NOT NULL,
    accepted_at     BIGINT NOT NULL,
    day             BIGINT NOT NULL,
    via             TEXT   NOT NULL,
    sender_id       BIGINT NOT NULL,
    domain_id       BIGINT NOT NULL,
    mail_from       TEXT   NOT NULL,
    subject         TEXT   NOT NULL,
    tag             TEXT   NOT NULL,
    size_bytes      BIGINT NOT NULL,
    recipient_count BIGINT NOT NULL,
    refused_count   BIGINT NOT NULL,
    PRIMARY KEY (account_id, message_id)
){clustered};

-- What will go on the wire, less the signature. Gone as soon as no recipient waits for it.
CREATE TABLE content (
    account_id BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    bytes      {bytes} NOT NULL,
    PRIMARY KEY (account_id, message_id)
);

CREATE TABLE recipient (
    account_id     BIGINT NOT NULL,
    message_id     BIGINT NOT NULL,
    number         BIGINT NOT NULL,
    address        TEXT   NOT NULL,
    address_key    TEXT   NOT NULL,
    state          BIGINT NOT NULL,
    classification TEXT   NOT NULL,
    reply          TEXT   NOT NULL,
    attempts       BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (account_id, message_id, number)
){clustered};
CREATE INDEX recipient_address ON recipient (account_id, address_key, message_id);

-- What waits for delivery. lease_node 0 means free; a leased row belongs to its node while that node lives.
CREATE TABLE queue (
    account_id  BIGINT NOT NULL,
    message_id  BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    domain      TEXT   NOT NULL,
    due_at      BIGINT NOT NULL,
    lease_node  BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    accepted_at BIGINT NOT NULL,
    size_bytes  BIGINT NOT NULL,
    reason      TEXT   NOT NULL,
    PRIMARY KEY (account_id, message_id, number)
){clustered};
CREATE INDEX queue_due ON queue (due_at) WHERE lease_node = 0;
CREATE INDEX queue_lease ON queue (lease_node) WHERE lease_node <> 0;

CREATE TABLE attempt (
    account_id     BIGINT NOT NULL,
    message_id     BIGINT NOT NULL,
    number         BIGINT NOT NULL,
    attempt_id     BIGINT NOT NULL,
    started_at     BIGINT NOT NULL,
    finished_at    BIGINT NOT NULL,
    node_id        BIGINT NOT NULL,
    remote_host    TEXT   NOT NULL,
    remote_address TEXT   NOT NULL,
    local_address  TEXT   NOT NULL,
    tls            TEXT   NOT NULL,
    phase          TEXT   NOT NULL,
    disposition    TEXT   NOT NULL,
    classification TEXT   NOT NULL,
    code           BIGINT,
    reply          TEXT   NOT NULL,
    next_due_at    BIGINT,
    PRIMARY KEY (account_id, message_id, number, attempt_id)
){clustered};

CREATE TABLE usage_day (
    account_id BIGINT NOT NULL,
    day        BIGINT NOT NULL,
    sender_id  BIGINT NOT NULL,
    accepted   BIGINT NOT NULL,
    delivered  BIGINT NOT NULL,
    invalid    BIGINT NOT NULL,
    spam       BIGINT NOT NULL,
    failed     BIGINT NOT NULL,
    PRIMARY KEY (account_id, day, sender_id)
){clustered};

CREATE TABLE invalid_address (
    account_id  BIGINT NOT NULL,
    address_key TEXT   NOT NULL,
    address     TEXT   NOT NULL,
    first_at    BIGINT NOT NULL,
    last_at     BIGINT NOT NULL,
    message_id  BIGINT NOT NULL,
    reply       TEXT   NOT NULL,
    PRIMARY KEY (account_id, address_key)
);
CREATE INDEX invalid_address_first ON invalid_address (account_id, first_at);
CREATE INDEX invalid_address_last ON invalid_address (last_at);
CREATE INDEX invalid_address_key ON invalid_address (address_key);

CREATE TABLE quota_event (
    account_id BIGINT NOT NULL,
    event_id   BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    old_daily  BIGINT NOT NULL,
    new_daily  BIGINT NOT NULL,
    old_level  BIGINT NOT NULL,
    new_level  BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    PRIMARY KEY (account_id, event_id)
);

-- Things that people did to a message: a cancel, a retry by hand.
CREATE TABLE message_event (
    account_id BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    event_id   BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    PRIMARY KEY (account_id, message_id, event_id)
);
