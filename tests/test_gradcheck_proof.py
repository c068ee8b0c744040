"""The proof of the gradient checker, from the command line: a share of each table, and what it must refuse."""

import pytest

from scripts import gradcheck_proof
from scripts.gradcheck_proof import main
from scripts.proof import trials as gradcheck_trials
from scripts.proof.planted_bugs import PLANTED
from scripts.proof.trials import Named, Outcome


@pytest.mark.slow
@pytest.mark.numerical
def test_no_random_network_is_called_wrong(capsys):
    main(["--part", "false-alarms", "--networks", "100", "--seed", "1"])
    output = capsys.readouterr().out
    assert output.startswith("No false alarm: 100 random correct networks and their losses\n")
    assert " ".join(row(output, "wrong")) == "wrong 0 0.00%"
    assert " ".join(row(output, "crashed")) == "crashed 0 0.00%"


@pytest.mark.slow
@pytest.mark.numerical
def test_every_planted_bug_is_found_and_no_right_entry_called_wrong(capsys):
    assert main(["--part", "bank", "--repeats", "1", "--seed", "1"]) == 0
    output = capsys.readouterr().out
    assert row(output, "all") == ["all", str(len(PLANTED)), "0", "0", "0"]
    assert "19 right layers and losses as often: 19 right" in output


@pytest.mark.slow
@pytest.mark.numerical
def test_the_causes_are_named(capsys):
    assert main(["--part", "diagnosis", "--repeats", "1", "--seed", "1"]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.endswith(f"confident and wrong: 0 of {len(PLANTED)}")


@pytest.mark.slow
def test_the_others_stand_beside_ours(capsys):
    assert main(["--part", "comparison", "--repeats", "1", "--networks", "100", "--seed", "1"]) == 0
    output = capsys.readouterr().out
    assert row(output, "ours")[1:4] == [str(len(PLANTED)), "0", "0"]
    for checker in gradcheck_trials.RIVALS:
        assert f"\n{checker}  " in output
    assert "missed by torch.autograd.gradcheck, of 1 each: " in output


def row(output, name):
    return next(line.split() for line in output.splitlines() if line.split()[:1] == [name])


def test_a_checker_that_calls_everything_wrong_fails(monkeypatch, capsys):
    monkeypatch.setattr(gradcheck_trials, "check", lambda *_: Outcome("wrong", {"input": "wrong"}))
    assert main(["--part", "false-alarms", "--networks", "3"]) == 1
    assert main(["--part", "bank", "--repeats", "1"]) == 1
    assert row(capsys.readouterr().out, "wrong") == ["wrong", "3", "100.00%"]


def test_a_checker_that_is_often_undecided_fails_and_its_reasons_are_counted(monkeypatch, capsys):
    monkeypatch.setattr(gradcheck_trials, "check", lambda *_: Outcome("undecided", reasons=["off by 1.5e-3 here"]))
    assert main(["--part", "false-alarms", "--networks", "3"]) == 1
    assert "undecided, 3, the first N = 0: off by # here" in capsys.readouterr().out


def test_a_checker_that_raises_is_said_to(monkeypatch, capsys):
    def check_gradients(*_, **__):
        raise IndexError("list index out of range")

    monkeypatch.setattr(gradcheck_trials, "check_gradients", check_gradients)
    assert main(["--part", "false-alarms", "--networks", "2"]) == 1
    assert "crashed, 2, the first N = 0: IndexError: list index out of range" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("confident", "others", "status"), [(True, (), 1), (False, (), 1), (False, ("sign",), 1)], ids=str
)
def test_a_wrong_cause_is_counted(confident, others, status, monkeypatch, capsys):
    sign = [bug for bug in PLANTED if bug.cause == "sign"]
    monkeypatch.setattr(gradcheck_proof, "PLANTED", sign)
    monkeypatch.setattr(gradcheck_trials, "PLANTED", sign)
    named = {name: Named("factor", confident, others) for bug in sign for name in bug.wrong}
    monkeypatch.setattr(gradcheck_trials, "check", lambda *_: Outcome("wrong", {}, [], named))
    assert main(["--part", "diagnosis", "--repeats", "2"]) == status
    output = capsys.readouterr().out
    runs = str(2 * len(sign))
    cells = [runs, *([runs] if others else []), *([runs] if confident else []), "factor", runs]
    assert row(output, "sign") == ["sign", *cells]
    assert f"right first: 0.0%; confident and wrong: {runs if confident else 0} of {runs}" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--part", "everything"], "argument --part: invalid choice: 'everything'"),
        (["--networks", "0"], "argument --networks: expected a whole number >= 1, got '0'"),
        (["--repeats", "x"], "argument --repeats: expected a whole number >= 1, got 'x'"),
        (["--seed", "-1"], "argument --seed: expected a whole number >= 0, got '-1'"),
        (["--jobs", "0"], "argument --jobs: expected a whole number >= 1, got '0'"),
    ],
)
def test_bad_arguments_give_one_line_that_names_them(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"gradcheck_proof: {message}")
    assert error.count("\n") == 1
