"""What runs the worked examples finds what is wrong, and more examples."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.of_the_rulebook import RulebookAdapter
from tests.vectors.running import FOLDER, run, vectors


def named(name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each.values[0] for each in vectors() if each.id == name)
    return copy.deepcopy(found)


def one_more(at: Any) -> None:
    """Every integer below is one more."""
    for key in at if isinstance(at, dict) else range(len(at)):
        if isinstance(at[key], dict | list):
            one_more(at[key])
        elif isinstance(at[key], int) and not isinstance(at[key], bool):
            at[key] += 1


@pytest.mark.parametrize(
    "vector", [each for each in vectors() if "refused" not in json.dumps(each.values[0]["expect"])]
)
def test_a_figure_that_is_one_off_is_found(vector: dict[str, Any]) -> None:
    wrong = copy.deepcopy(vector)
    one_more(wrong["expect"])
    with pytest.raises(AssertionError):
        run(RulebookAdapter(), wrong)


def test_each_figure_of_a_scenario_is_compared() -> None:
    vector = named("two-accounts-and-the-house")
    places: list[Callable[[Any], dict[str, Any]]] = [
        lambda it: it["events"][5][0],
        lambda it: it["events"][6][0],
        lambda it: it["accounts"]["bob"],
        lambda it: it["accounts"]["ann"]["ledger"],
        lambda it: it["house"],
        lambda it: it,
    ]
    for place in places:
        for key, value in place(vector["expect"]).items():
            if isinstance(value, int):
                wrong = copy.deepcopy(vector)
                place(wrong["expect"])[key] += 1
                with pytest.raises(AssertionError):
                    run(RulebookAdapter(), wrong)


def test_an_event_too_many_a_reason_untold_and_another_refusal_are_found() -> None:
    changes: list[Callable[[Any], object]] = [
        lambda steps: steps[2].pop(),
        lambda steps: steps[2].append({"refused": "would_take"}),
        lambda steps: steps[3].__setitem__(0, {"refused": "would_rest"}),
        lambda steps: steps[4][0].pop("reason"),
    ]
    for change in changes:
        vector = named("reserve-is-not-spendable")
        run(RulebookAdapter(), vector)
        change(vector["expect"]["events"])
        with pytest.raises(AssertionError):
            run(RulebookAdapter(), vector)


def test_a_published_figure_too_far_away_is_found() -> None:
    vector = named("binance-faq-eth-isolated")
    vector["published"]["liquidation"] = "1114.79"
    with pytest.raises(AssertionError, match="Binance FAQ"):
        run(RulebookAdapter(), vector)


def test_further_vectors_come_from_the_folder_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)  # this run may have a folder of its own
    ours = [each.id for each in vectors()]
    again, other = named("open-fee-taker"), named("open-fee-taker")
    other["given"]["rate"] = 0
    (tmp_path / "more.json").write_text(json.dumps({"vectors": [{**again, "name": "new"}, again, other]}))
    (tmp_path / "not-of-them.txt").write_text("{")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert [each.id for each in vectors()] == [*ours, "new", "more:open-fee-taker"]


def test_a_folder_without_vectors_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(AssertionError, match=r"no \*\.json"):
        vectors()
