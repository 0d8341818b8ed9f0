-- Suppression, block lists, IP protection.

-- kind: 'system' (a delivery was refused) or 'user' (its owner entered it). message_id: the mail that was refused last, 0
-- where none was. last_at: when a mail last hit the entry, 0 for never. A whole domain's key is '@' and its name.
-- suppression_id: given when the entry is first listed, since nobody can name one before; so earlier rows need none.
ALTER TABLE invalid_address ADD COLUMN kind TEXT NOT NULL DEFAULT 'system';
ALTER TABLE invalid_address ADD COLUMN suppression_id BIGINT;
CREATE UNIQUE INDEX invalid_address_number ON invalid_address (account_id, suppression_id) WHERE suppression_id IS NOT NULL;

-- suppresses_domains, blocks_recipients: 1 once the account has had such an entry; until then nobody looks for one.
ALTER TABLE account ADD COLUMN suppression_level TEXT NOT NULL DEFAULT 'all';
ALTER TABLE account ADD COLUMN suppresses_domains BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN blocks_recipients BIGINT NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN ip_protection BIGINT NOT NULL DEFAULT 0;

-- Recipients who unsubscribed from a sender address ('UNSUB') or reported its mail as spam ('REPORT').
CREATE TABLE recipient_block (
    account_id     BIGINT NOT NULL,
    address_key    TEXT   NOT NULL,
    sender_address TEXT   NOT NULL,
    block_type     TEXT   NOT NULL,
    address        TEXT   NOT NULL,
    blocked_at     BIGINT NOT NULL,
    sent_at        BIGINT NOT NULL,
    reasons        BIGINT NOT NULL,
    PRIMARY KEY (account_id, address_key, sender_address, block_type)
){clustered};
CREATE INDEX recipient_block_time ON recipient_block (account_id, block_type, blocked_at);

-- From where an account's calls and mail may come while its protection is on.
CREATE TABLE ip_filter (
    account_id BIGINT NOT NULL,
    filter_id  BIGINT NOT NULL,
    addresses  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, filter_id)
){clustered};
CREATE UNIQUE INDEX ip_filter_addresses ON ip_filter (account_id, addresses);
