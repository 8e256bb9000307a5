"""core/capture.py: a picture of one moment taken while the state goes on, the way back, and the digest."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exness.core.capture import (
    Capture,
    Digest,
    Header,
    Restorer,
    decode_header,
    digest_of,
    encode_header,
    header_of,
)
from exness.core.instruments import AccountId, TradeId
from exness.core.rules import Rules
from exness.core.state import NOTHING, BooksError, SeenOrder, State
from tests.core.histories import History, all_rules, histories, play
from tests.support.books import (
    ANN,
    BOB,
    SECOND,
    SOL,
    START,
    Desk,
    assert_books_balance,
    close_trade,
    deposit,
    desk_with,
    known_history,
    make_engine,
    make_rules,
    open_account,
    open_trade,
    tick,
    usdc,
)
from tests.support.states import picture_of, restore

BUDGETS = st.sampled_from((0, 0, 0, 0, 0, 1, 2))
"""Mostly nothing is taken, so that accounts change more than once before the picture comes to them."""
REPOSITORY = Path(__file__).parents[2]

KNOWN_DIGEST = "fc02ffbcc02589438f2397af2b21d99b75a376adc90566ad7e9159c38935c167"
"""Of `known_history`. Snapshots on disk hold digests: when this changes, old snapshots no longer verify."""


def digest_from(header: Header, accounts: list[bytes]) -> str:
    digest = Digest(header)
    for account in accounts:
        digest.add(account)
    return digest.hex()


# The picture


def test_the_header_is_what_is_no_account() -> None:
    desk = known_history()
    assert header_of(desk.state) == Header(
        seq=9, at=desk.at, accounts=2, house_pnl=usdc("29.62963"), deposits=usdc("10250.5"), shortfall=usdc("22.222222")
    )
    assert_books_balance(desk.state)


def test_the_digest_of_a_picture_of_0_1_0_is_of_what_it_knew() -> None:
    header = header_of(known_history().state)
    old = msgspec.structs.replace(header, format=1, house_commission=5)
    known = header.seq, header.accounts, header.house_pnl, header.deposits, header.shortfall
    assert Digest(old).hex() == hashlib.sha256(msgspec.msgpack.encode(known)).hexdigest() != Digest(header).hex()


def test_a_picture_of_an_empty_state_is_a_header() -> None:
    header, accounts = picture_of(State())
    assert (header, accounts) == (Header(0, 0, 0, 0, 0, 0), [])
    assert digest_of(restore(header, accounts)) == digest_of(State())


def test_a_picture_has_one_blob_per_account_in_the_order_they_were_opened() -> None:
    desk = known_history()
    _, accounts = picture_of(desk.state)
    assert [msgspec.msgpack.decode(account)[0] for account in accounts] == [ANN, BOB]
    assert desk.state.observer is None
    assert_books_balance(desk.state)


def test_a_step_takes_at_least_one_account_and_stops_when_its_budget_is_used() -> None:
    accounts = [AccountId(f"a{number}") for number in range(7)]
    desk = desk_with(*accounts)
    for number in range(4):
        desk.open(open_trade(f"t{number}", account=accounts[1], client_order=f"c{number}"))
    with Capture(desk.state) as capture:
        # a0 counts 1; a1 counts 1 + 4 trades + 4 client order ids; the others 1 each.
        assert [len(capture.take(budget)) for budget in (1, 1, 2, 3, 5, 5)] == [1, 1, 2, 3, 0, 0]
    with Capture(desk.state) as capture:
        assert [len(capture.take(budget)) for budget in (5, 4, 4)] == [2, 4, 1]
    for budget, taken in ((9, 2), (10, 2), (11, 3), (15, 7)):
        with Capture(desk.state) as capture:
            assert len(capture.take(budget)) == taken
    assert_books_balance(desk.state)


def test_a_picture_shows_the_moment_it_was_begun() -> None:
    desk = desk_with(ANN, BOB)
    desk.open(open_trade("t", account=BOB))
    header, accounts = picture_of(desk.state)
    with Capture(desk.state) as capture:
        taken = capture.take(1)
        desk.do(deposit(ANN, "1"))  # taken already
        desk.do(deposit(BOB, "2"))  # not yet: kept as it was
        desk.do(close_trade("t", BOB))
        desk.do(open_account(AccountId("late")))  # not in the picture
        desk.do(deposit(AccountId("late"), "3"))
        while step := capture.take(1):
            taken += step
    assert (capture.header, taken) == (header, accounts)
    assert capture._early == {}, "nothing is kept that the picture does not need"
    assert header_of(desk.state).seq == header.seq + 5
    assert_books_balance(desk.state)


def test_a_tick_that_liquidates_while_a_picture_is_taken_is_not_in_it() -> None:
    desk = desk_with(ANN, BOB)
    for account in (ANN, BOB):
        desk.open(open_trade(f"{account}'s", account=account))
    header, accounts = picture_of(desk.state)
    with Capture(desk.state) as capture:
        desk.do(tick(SOL, "1"))
        assert capture.take(10**9) == accounts
    recovered = restore(header, accounts)
    assert recovered.open_trades == 2
    assert desk.state.open_trades == 0
    assert_books_balance(recovered)
    assert_books_balance(desk.state)


def test_one_picture_is_taken_at_a_time() -> None:
    desk = desk_with()
    with Capture(desk.state) as capture:
        with pytest.raises(AssertionError) as bug, Capture(desk.state):
            pass
        assert str(bug.value) == "another picture of this state is being taken"
        assert desk.state.observer is capture
    with Capture(desk.state):
        pass
    assert desk.state.observer is None
    assert_books_balance(desk.state)


def test_a_picture_that_fails_half_way_leaves_the_state_unobserved() -> None:
    desk = desk_with()
    with pytest.raises(OSError), Capture(desk.state):
        raise OSError
    assert desk.state.observer is None
    desk.do(deposit(ANN, "1"))
    assert_books_balance(desk.state)


@given(all_rules(), histories(max_steps=60), st.data())
def test_a_picture_taken_in_steps_while_commands_go_on_equals_the_one_taken_at_once(
    rules: Rules, history: History, data: st.DataObject
) -> None:
    engine = make_engine(rules)
    begin = data.draw(st.integers(0, len(history)), label="begin")
    play(engine, history[:begin])
    for number in range(data.draw(st.integers(0, 6), label="more accounts")):
        engine.execute(open_account(AccountId(f"more{number}")), engine.state.at)
    state = engine.state
    whole = picture_of(state)
    digest = digest_of(state)
    accounts = []
    with Capture(state) as capture:
        for command, at in history[begin:]:
            accounts += capture.take(data.draw(BUDGETS, label="budget"))
            for done in engine.steps(command, at):
                accounts += capture.take(1) if isinstance(done, list) else []
        while step := capture.take(2):
            accounts += step
    assert (capture.header, accounts) == whole
    assert digest_from(capture.header, accounts) == digest
    assert_books_balance(restore(capture.header, accounts))
    assert_books_balance(state)


@given(all_rules(), histories(max_steps=60), st.data())
def test_taking_a_picture_changes_nothing_of_what_happens(rules: Rules, history: History, data: st.DataObject) -> None:
    watched, alone = make_engine(rules), make_engine(rules)
    begin = data.draw(st.integers(0, len(history)), label="begin")
    assert play(watched, history[:begin]) == play(alone, history[:begin])
    with Capture(watched.state) as capture:
        capture.take(1)
        assert play(watched, history[begin:]) == play(alone, history[begin:])
    assert digest_of(watched.state) == digest_of(alone.state)
    assert_books_balance(watched.state)


# The way back


@given(all_rules(), histories())
def test_what_is_restored_is_what_was_pictured(rules: Rules, history: History) -> None:
    engine = make_engine(rules)
    play(engine, history)
    state = restore(*picture_of(engine.state))
    assert state.account_list == engine.state.account_list
    assert picture_of(state) == picture_of(engine.state)
    assert digest_of(state) == digest_of(engine.state)
    assert (state.seq, state.at, state.open_trades) == (engine.state.seq, engine.state.at, engine.state.open_trades)
    assert all(market.price is None for market in state.markets.values()), "prices are not in the picture"
    assert_books_balance(state)


@pytest.mark.parametrize(("given_back", "there"), [(0, 0), (1, 1), (3, 3)])
def test_accounts_that_are_missing_or_too_many_are_refused(given_back: int, there: int) -> None:
    header, accounts = picture_of(known_history().state)
    restorer = Restorer(header)
    for account in (accounts * 2)[:given_back]:
        restorer.add(account)
    with pytest.raises(ValueError) as refused:
        restorer.finish()
    assert str(refused.value) == f"2 accounts were promised, {there} are there"


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\xc1", b"not an account", msgspec.msgpack.encode({"id": "ann"}), msgspec.msgpack.encode([1, 2, 3])],
)
def test_bytes_that_are_no_account_are_refused(damaged: bytes) -> None:
    header, _ = picture_of(known_history().state)
    with pytest.raises(msgspec.DecodeError):
        Restorer(header).add(damaged)


def test_an_account_that_is_cut_off_anywhere_is_refused() -> None:
    header, (account, _) = picture_of(known_history().state)
    for length in range(len(account)):
        with pytest.raises(msgspec.DecodeError):
            Restorer(header).add(account[:length])


@pytest.mark.parametrize("field", ["house_pnl", "deposits"])
def test_a_picture_whose_books_do_not_balance_is_refused(field: str) -> None:
    header, accounts = picture_of(known_history().state)
    wrong = msgspec.structs.replace(header, **{field: getattr(header, field) + 1})
    with pytest.raises(BooksError) as refused:
        restore(wrong, accounts)
    assert "books do not balance at seq 9" in str(refused.value)


# The digest


def test_the_digest_of_a_known_history_is_the_one_written_down() -> None:
    desk = known_history()
    assert digest_of(desk.state) == KNOWN_DIGEST
    assert_books_balance(desk.state)


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_the_digest_is_the_same_in_every_process(hash_seed: str) -> None:
    script = (
        "from exness.core.capture import digest_of; from tests.support.books import known_history; "
        "print(digest_of(known_history().state))"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == KNOWN_DIGEST


def test_the_digest_does_not_see_prices_and_time_passing() -> None:
    desk = known_history()
    desk.at += SECOND
    assert desk.do(tick(SOL, "201", "203")) == []
    assert digest_of(desk.state) == KNOWN_DIGEST
    assert_books_balance(desk.state)


def test_the_digest_sees_money_trades_client_order_ids_and_their_fingerprints() -> None:
    def with_trade(**changed: Any) -> Desk:
        desk = desk_with()
        desk.open(open_trade("t", **changed))
        return desk

    def with_deposits(*amounts: str) -> Desk:
        desk = desk_with()
        for amount in amounts:
            desk.do(deposit(ANN, amount))
        return desk

    desks = [
        desk_with(),
        with_deposits("1"),
        with_deposits("2"),
        with_deposits("1", "1"),
        with_trade(),
        with_trade(margin="10.000001"),
        with_trade(leverage="10.01"),
        with_trade(client_order="mine"),
        with_trade(client_order="other"),
        with_trade(client_order="mine", slippage=100),
    ]
    assert len({digest_of(desk.state) for desk in desks}) == len(desks)
    for desk in desks:
        assert_books_balance(desk.state)


def test_the_digest_sees_the_order_in_which_accounts_were_opened() -> None:
    def state(*accounts: AccountId) -> State:
        desk = Desk()
        for account in accounts:
            desk.do(open_account(account))
        return desk.state

    assert digest_of(state(ANN, BOB)) != digest_of(state(BOB, ANN))
    assert digest_of(state(ANN, BOB)) == digest_of(state(ANN, BOB))


def test_the_largest_position_that_can_be_configured_can_be_pictured() -> None:
    """Limits in the configuration go up to 1e12 USDC. A size ends at 2**62 hundredths of a micro-USDC."""
    desk = Desk(make_rules(max_notional="999999999999", max_open_interest="999999999999"))
    desk.do(open_account(ANN, "900000000000"))
    desk.do(tick(SOL, "200"))
    desk.open(open_trade("t", SOL, margin="400000000", leverage="100"))
    state = restore(*picture_of(desk.state))
    assert digest_of(state) == digest_of(desk.state)
    assert state.accounts[ANN].notional == usdc("40000000000") * 100_000
    assert_books_balance(state)


def test_what_was_one_object_is_one_again_when_it_is_restored() -> None:
    """Copies would take a third more memory from one start to the next."""
    desk = desk_with(ANN, BOB)
    for number, account in enumerate((ANN, ANN, BOB)):
        desk.open(open_trade(f"t{number}", account=account, client_order=f"c{number}"))
    desk.do(close_trade("t0", ANN))
    state = restore(*picture_of(desk.state))
    ann, bob = state.accounts[ANN], state.accounts[BOB]
    for holder in (ann, bob):
        assert {id(trade.account) for trade in holder.trades.values()} == {id(holder.id)}
        assert state.by_email[holder.email] is holder.id
    assert ann.trades[TradeId("t1")].asset is bob.trades[TradeId("t2")].asset
    assert state.account_list == desk.state.account_list
    assert_books_balance(state)


def test_an_account_with_another_ones_trade_is_refused() -> None:
    desk = desk_with(ANN, BOB)
    desk.open(open_trade("t"))
    header, (ann, bob) = picture_of(desk.state)
    plain = msgspec.msgpack.decode(ann)
    plain[0] = BOB
    with pytest.raises(AssertionError):
        restore(header, [msgspec.msgpack.encode(plain), bob])


def test_a_restored_account_that_holds_nothing_shares_the_mapping_for_it() -> None:
    state = restore(*picture_of(desk_with(ANN).state))
    ann = state.accounts[ANN]
    assert all(held is NOTHING for held in (ann.trades, ann.seen))


def test_a_client_order_id_of_the_first_release_which_holds_its_whole_trade_is_restored_to_its_record() -> None:
    desk = desk_with()
    desk.open(open_trade("t", client_order="open"))
    desk.open(open_trade("u", client_order="closed"))
    header, (now,) = picture_of(desk.state)
    plain = msgspec.msgpack.decode(now)
    plain[5] = [{"order": trade.pop("id"), **trade} for trade in plain[5] if trade.pop("size")]
    trades = {trade["order"]: trade for trade in plain[5]}
    plain[6] = {name: [asked, trades[order], 4_980_000_000] for name, (asked, order, *_) in plain[6].items()}
    state = restore(msgspec.structs.replace(header, format=1), [msgspec.msgpack.encode(plain)])
    assert state.accounts[ANN].trades == desk.state.accounts[ANN].trades
    assert state.accounts[ANN].seen == desk.state.accounts[ANN].seen
    assert digest_of(state) == digest_of(desk.state)
    assert_books_balance(state)


def test_a_client_order_id_of_the_form_between_which_holds_its_trades_id_is_restored_as_it_was() -> None:
    header = Header(3, START, 1, 0, usdc("5000"), 0, format=1)
    restorer = Restorer(header)
    restorer.add(
        msgspec.msgpack.encode(["ann", "ann@example.com", START, usdc("5000"), 3, [], {"mine": ["asked", "o-1", 2]}])
    )
    (account,) = restorer.finish().account_list
    assert account.seen == {"mine": SeenOrder("asked", TradeId("o-1"), 2, 2)}


def test_a_header_of_a_form_that_is_not_known_is_refused() -> None:
    header = header_of(State())
    assert decode_header(encode_header(header)) == header
    with pytest.raises(msgspec.DecodeError, match="its format 3 is unknown"):
        decode_header(encode_header(msgspec.structs.replace(header, format=3)))
