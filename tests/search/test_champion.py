from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from marketsim.search import Ledger, PromotionRule, Trial, champion, promote


def record(ledger: Ledger, study: str, nets: np.ndarray, **more) -> None:
    ledger.record(
        *(
            Trial(study, {"i": i, **more}, float(net.mean() / net.std(ddof=1)), net=net)
            for i, net in enumerate(nets)
        )
    )


def test_skill_is_promoted_and_luck_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    luck, skill = rng.normal(0.0, 0.01, (2, 20, 600))
    skill[7] += 0.003
    with Ledger(tmp_path / "t.sqlite") as ledger:
        record(ledger, "luck", luck)
        record(ledger, "skill", skill)
        refused = promote(ledger, "luck")
        assert not refused.accepted and champion(ledger, "luck") is None
        assert refused.reasons[0].startswith("deflated Sharpe ratio 0.")
        accepted = promote(ledger, "skill")
        assert accepted.accepted and accepted.reasons == ()
        assert accepted.evidence["trials"] == 20 and accepted.evidence["bars"] == 600
        assert (
            accepted.evidence["deflated_sharpe"] > 0.95 >= 0.2 >= accepted.evidence["overfitting"]
        )
        assert champion(ledger, "skill").params == {"i": 7}
        again = promote(ledger, "skill")
        assert again.reasons == ("it is the champion already",)
    with Ledger(tmp_path / "t.sqlite", mode="r") as ledger:  # what was decided stays
        history = ledger.decisions("skill")
        assert [one.accepted for one in history] == [True, False]
        assert history[0].rule["least_deflated"] == 0.95
        assert history[0].evidence == accepted.evidence
        assert ledger.trial_of(history[0].attempt).params == {"i": 7}


def test_a_challenger_has_to_beat_the_champion(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    nets = rng.normal(0.0, 0.01, (6, 600))
    nets[0] += 0.003
    with Ledger(tmp_path / "t.sqlite") as ledger:
        record(ledger, "s", nets)
        assert promote(ledger, "s").accepted
        better = nets[0] + 0.0005
        ledger.record(Trial("s", {"i": 9}, float(better.mean() / better.std(ddof=1)), net=better))
        close = promote(ledger, "s", PromotionRule(least_gain=1.0))
        assert not close.accepted and "by more than 1" in close.reasons[-1]
        assert promote(ledger, "s").accepted and champion(ledger, "s").params == {"i": 9}
        # A trial of choice, here worse than the champion.
        old = ledger.trial_of(ledger.decisions("s")[0].attempt)
        assert not promote(ledger, "s", trial=old).accepted
        lower = PromotionRule(direction="minimize", least_deflated=0.0, most_overfitting=1.0)
        worst = promote(ledger, "s", lower)
        assert worst.accepted  # for "minimize" a smaller score is the better one


def test_a_champion_is_compared_on_the_same_question(tmp_path: Path) -> None:
    """Without fees any set is better than the champion with them."""
    rng = np.random.default_rng(2)
    nets = rng.normal(0.0, 0.01, (6, 600))
    nets[:2] += 0.003
    scores = nets.mean(axis=1) / nets.std(axis=1, ddof=1)
    fees = {"settings": '{"fee_bps": 5.0}', "data": "bars"}
    free = {"settings": '{"fee_bps": 0.0}', "data": "bars"}
    with Ledger(tmp_path / "t.sqlite") as ledger:
        ledger.record(Trial("s", {"i": 0}, float(scores[0]), net=nets[0], **fees))
        ledger.record(Trial("s", {"i": 2}, float(scores[2]), net=nets[2], **fees))
        rule = PromotionRule(least_deflated=0.0, most_overfitting=1.0)
        assert promote(ledger, "s", rule).accepted
        ledger.record(Trial("s", {"i": 1}, 9.0, net=nets[1], **free))
        refused = promote(ledger, "s", rule)
        assert not refused.accepted and champion(ledger, "s").params == {"i": 0}
        assert "cannot be compared" in refused.reasons[-1] and "fee_bps 5.0" in refused.reasons[-1]
        ledger.record(Trial("s", {"i": 0}, 8.0, net=nets[0], **free))  # the champion there
        accepted = promote(ledger, "s", rule)
        assert accepted.accepted and accepted.evidence["champion_score"] == 8.0


def test_what_is_not_known_speaks_against(tmp_path: Path) -> None:
    flat = np.zeros((3, 300))
    with Ledger(tmp_path / "t.sqlite") as ledger:
        ledger.record(*(Trial("flat", {"i": i}, 1.0, net=net) for i, net in enumerate(flat)))
        decision = promote(ledger, "flat")
        assert "deflated Sharpe ratio unknown is below 0.95" in decision.reasons
        assert decision.evidence["deflated_sharpe"] is None
        ledger.record(Trial("bare", {"i": 0}, 1.0), Trial("nan", {"i": 0}, float("nan")))
        with pytest.raises(ValueError, match="kept no net returns"):
            promote(ledger, "bare")
        for study in ("nan", "nothing"):
            with pytest.raises(ValueError, match="no complete trial of '.*' has a finite score"):
                promote(ledger, study)
        with pytest.raises(ValueError, match="no finite score in this ledger"):
            promote(ledger, "flat", trial=Trial("flat", {"i": 7}, 1.0))


def test_decisions_are_append_only(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with Ledger(path) as ledger:
        record(ledger, "s", np.random.default_rng(3).normal(0, 0.01, (3, 300)))
        promote(ledger, "s")
    with sqlite3.connect(path) as connection:
        for statement in ("UPDATE promotions SET accepted = 1", "DELETE FROM promotions"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


@pytest.mark.parametrize(
    "bad",
    [{"least_deflated": 1.5}, {"most_overfitting": -0.1}, {"least_bars": 0}, {"direction": "up"},
     {"least_gain": float("nan")}],
)  # fmt: skip
def test_bad_rules(bad: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        PromotionRule(**bad)
