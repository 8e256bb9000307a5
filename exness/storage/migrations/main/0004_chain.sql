-- An account's trades as a chain, in place of an index by account. An index is in order of accounts, so that every trade
-- opened changed a page of its own somewhere in it, the more of them the more accounts and trades there were: half of
-- what a commit cost. A trade knows the one before it, its account's balance (which the commit changes anyway) the
-- newest, and every 32nd is in an index, so that any place in the chain is found by a short walk.

ALTER TABLE trades ADD COLUMN number   INTEGER NOT NULL DEFAULT 0;  -- its place among its account's trades, from 1
ALTER TABLE trades ADD COLUMN previous INTEGER;                     -- opened_seq of the one before; the first has none
ALTER TABLE balances ADD COLUMN newest INTEGER;                     -- opened_seq of the last one; NULL without trades

DROP INDEX trades_of_account;

UPDATE trades SET number = place.number, previous = place.previous
FROM (
    SELECT opened_seq AS seq,
        row_number() OVER mine AS number,
        lag(opened_seq) OVER mine AS previous
    FROM trades
    WINDOW mine AS (PARTITION BY account_id ORDER BY opened_seq)
) AS place
WHERE opened_seq = place.seq;

UPDATE balances SET newest = last.seq
FROM (SELECT account_id, max(opened_seq) AS seq FROM trades GROUP BY account_id) AS last
WHERE balances.account_id = last.account_id;

CREATE INDEX milestones ON trades (account_id, number) WHERE number % 32 = 0;
