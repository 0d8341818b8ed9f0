-- Dedicated IP addresses, the pools that group them, and their warm-up (R24).

-- The pool that the sender asked for; 0: none.
ALTER TABLE message ADD COLUMN ip_pool_id BIGINT NOT NULL DEFAULT 0;

CREATE TABLE ip_pool (
    account_id BIGINT NOT NULL,
    pool_id    BIGINT NOT NULL,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, pool_id)
);
CREATE UNIQUE INDEX ip_pool_name ON ip_pool (account_id, name);

-- pool_id 0: in none. The end is computed from starts_at and term_months (see indicia_domain::dedicated_ip).
CREATE TABLE dedicated_ip (
    account_id        BIGINT NOT NULL,
    ip_id             BIGINT NOT NULL,
    address           TEXT   NOT NULL,
    pool_id           BIGINT NOT NULL,
    starts_at         BIGINT NOT NULL,
    term_months       BIGINT NOT NULL,
    auto_renewal      BIGINT NOT NULL,
    warmup_type       TEXT   NOT NULL,
    warmup_changed_at BIGINT NOT NULL,
    released_at       BIGINT,
    PRIMARY KEY (account_id, ip_id)
);
-- An address is one account's at most.
CREATE UNIQUE INDEX dedicated_ip_address ON dedicated_ip (address) WHERE released_at IS NULL;

-- Where an address stands with a mailbox provider; day is the last UTC day on which it was used there.
CREATE TABLE ip_warmup (
    account_id BIGINT NOT NULL,
    ip_id      BIGINT NOT NULL,
    provider   TEXT   NOT NULL,
    step       BIGINT NOT NULL,
    day        BIGINT NOT NULL,
    finished   BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    PRIMARY KEY (account_id, ip_id, provider)
){clustered};

-- What was sent from an address to a provider on a UTC day, and what came of it.
CREATE TABLE ip_day (
    account_id BIGINT NOT NULL,
    ip_id      BIGINT NOT NULL,
    provider   TEXT   NOT NULL,
    day        BIGINT NOT NULL,
    sent       BIGINT NOT NULL,
    delivered  BIGINT NOT NULL,
    deferred   BIGINT NOT NULL,
    failed     BIGINT NOT NULL,
    PRIMARY KEY (account_id, ip_id, provider, day)
){clustered};
