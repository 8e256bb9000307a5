"""What the routes work with: the running exchange, behind a few calls."""

from dataclasses import dataclass

from exness.core.commands import OpenAccount
from exness.core.events import Record
from exness.core.instruments import AccountId
from exness.core.rejects import Refusal, Reject
from exness.core.rules import Rules
from exness.core.state import Account, State
from exness.runtime.bus import Bus
from exness.runtime.candles import Candle, CandleBook, CandleQuery
from exness.runtime.flush import CandleFlush
from exness.runtime.ports import Clock, History, Ids, Journal, PriceFeed, Tables
from exness.runtime.projector import Projector, TablesBehind
from exness.runtime.sequencer import Busy, NotTaken, Sequencer
from exness.runtime.writer import Writer


@dataclass(frozen=True)
class Exchange:
    """One running exchange. Read `state` freely; only `sequencer` changes it. `initial_balance` is micro-USDC."""

    rules: Rules
    state: State
    sequencer: Sequencer
    writer: Writer
    bus: Bus
    history: History
    feed: PriceFeed
    clock: Clock
    ids: Ids
    initial_balance: int
    candles: CandleBook
    flush: CandleFlush
    journal: Journal
    """To read what happened before; only the writer appends to it."""
    tables: Tables
    projector: Projector

    async def account_of(self, email: str) -> Account:
        """The account of a signed-in user, opened with its first deposit when this is the first time.

        Raises NotTaken or Halted like `Sequencer.submit`.
        """
        while (known := self.known_account(email)) is None:  # again, if all was forgotten before we are told
            account = AccountId(self.ids.new())
            outcome = await self.sequencer.submit(OpenAccount(account, email, self.initial_balance))
            if isinstance(outcome, Refusal) and outcome.reject is not Reject.ACCOUNT_EXISTS:
                raise AssertionError(f"no account can be opened: {outcome}")  # to ask again would never end
        return known  # ours, or that of a request that came at the same time

    def known_account(self, email: str) -> Account | None:
        account = self.state.by_email.get(email)
        return self.state.accounts[account] if account is not None else None

    async def told(self, seq: int) -> None:
        """Wait until everything up to `seq` may be told: a reader never sees what a crash could take back.

        Take first what you show, with the `seq` of its last record, and wait for that once. Who looks again after the
        wait sees what is newer still, and who waits for that never ends while an account trades without a pause.
        Raises Halted.
        """
        await self.writer.durable(seq)

    async def written(self, account: Account) -> None:
        """Wait until the tables hold everything this account has done so far, however trades are acknowledged."""
        await self.in_tables(account.seq)

    async def in_tables(self, seq: int) -> None:
        """Wait until the tables hold everything up to `seq`: for who must see what was just done. It is on disk then,
        too. Raises Halted, and NotTaken when they are too far behind."""
        await self.writer.on_disk(seq)
        try:
            await self.projector.reached(seq)
        except TablesBehind:
            raise NotTaken(Busy.OVERLOADED) from None

    async def record(self, seq: int) -> Record:
        """A record that has been made, once it is on disk. Raises Halted, JournalDamaged."""
        assert self.journal is not None
        await self.writer.on_disk(seq)
        (record,) = await self.journal.pick([seq])
        return record

    async def klines(self, query: CandleQuery) -> list[Candle]:
        """Candles as they are now, the running one too. Raises NotTaken when too many reads wait."""
        return await self.flush.candles(query)
