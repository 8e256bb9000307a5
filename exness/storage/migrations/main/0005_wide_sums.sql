-- What is added up over a whole history can outgrow 64 bits: deposits and losses that follow each other for long enough, and
-- what the house has won from or paid to all accounts together. Such a sum is two columns: `x + x_e18 * 10^18`. As long
-- as it is less than 10^18 either way, x is all of it.

ALTER TABLE balances ADD COLUMN free_e18           INTEGER NOT NULL DEFAULT 0;  -- of the house alone: its pnl
ALTER TABLE balances ADD COLUMN deposited_e18      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE balances ADD COLUMN closed_pnl_e18     INTEGER NOT NULL DEFAULT 0;
ALTER TABLE balances ADD COLUMN liquidated_pnl_e18 INTEGER NOT NULL DEFAULT 0;

UPDATE balances
SET deposited_e18 = deposited / 1000000000000000000, deposited = deposited % 1000000000000000000
WHERE deposited >= 1000000000000000000;

UPDATE balances
SET free_e18 = free / 1000000000000000000, free = free % 1000000000000000000
WHERE account_id = 'house';

-- The pnls again, from the trades: 0003 could keep no more than what fits into one column. Sums of whole and of broken
-- thousands of USDC do not overflow, whatever the pnls are.
UPDATE balances
SET closed_pnl         = (sums.closed_e9 + sums.closed_rest / 1000000000) % 1000000000 * 1000000000
                         + sums.closed_rest % 1000000000,
    closed_pnl_e18     = (sums.closed_e9 + sums.closed_rest / 1000000000) / 1000000000,
    liquidated_pnl     = (sums.liquidated_e9 + sums.liquidated_rest / 1000000000) % 1000000000 * 1000000000
                         + sums.liquidated_rest % 1000000000,
    liquidated_pnl_e18 = (sums.liquidated_e9 + sums.liquidated_rest / 1000000000) / 1000000000
FROM (
    SELECT account_id,
        coalesce(sum(pnl / 1000000000) FILTER (WHERE status = 'closed'), 0) AS closed_e9,
        coalesce(sum(pnl % 1000000000) FILTER (WHERE status = 'closed'), 0) AS closed_rest,
        coalesce(sum(pnl / 1000000000) FILTER (WHERE status = 'liquidated'), 0) AS liquidated_e9,
        coalesce(sum(pnl % 1000000000) FILTER (WHERE status = 'liquidated'), 0) AS liquidated_rest
    FROM trades NOT INDEXED
    GROUP BY account_id
) AS sums
WHERE balances.account_id = sums.account_id;
