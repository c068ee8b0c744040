"""What every layer costs beside its floor, as ``benchmark --layers`` shows it."""

import pytest

import numpy_nn as nn
from numpy_nn.commands.benchmark import command
from numpy_nn.commands.benchmark.layer_costs import layer_costs


def test_every_layer_has_its_cost_and_none_is_free():
    costs = {cost.name: cost for cost in layer_costs(4, 3, "float64", rounds=1, sample_seconds=1e-9)}
    activations = {layer.__name__ for layer in nn.ACTIVATION_LAYERS.values()}
    assert set(costs) == activations | {"Linear", "BatchNorm1d", "LayerNorm", "Dropout", "Distortion of 28 x 28"}
    for name, cost in costs.items():
        assert cost.forward > 0.0
        assert (cost.backward > 0.0) == ("Distortion" not in name)
        assert cost.over_floor.median > 0.0


def test_the_floor_of_what_moves_numbers_is_two_and_a_half_copies_and_that_of_linear_its_products(monkeypatch):
    def run_rounds(pieces, rounds, **_):
        times = {"forward": 4.0, "backward": 6.0, "floor": 2.0}
        for piece in pieces.values():
            piece.work()
        return {name: [times[name]] * rounds for name in pieces}

    monkeypatch.setattr("numpy_nn.commands.benchmark.layer_costs.run_rounds", run_rounds)
    costs = {cost.name: cost for cost in layer_costs(4, 3, "float32", rounds=3, sample_seconds=1.0)}
    assert (costs["ReLU"].forward, costs["ReLU"].backward) == (4.0, 6.0)
    assert costs["ReLU"].over_floor.median == pytest.approx((4.0 + 6.0) / (2.5 * 2.0))
    assert costs["Linear"].over_floor.median == pytest.approx((4.0 + 6.0) / 2.0)
    assert costs["Distortion of 28 x 28"].over_floor.median == pytest.approx(4.0 / 2.0)


@pytest.mark.slow
def test_the_table_has_a_row_for_each_layer_at_each_hidden_width_and_dtype(capsys):
    options = ["--layers", "--rounds", "1", "--sample-ms", "0.000001", "--threads", "1", "--batch", "2"]
    assert command.main([*options, "--sizes", "5,3,2,2", "--dtype", "float32,float64"]) == 0
    output = capsys.readouterr().out
    titles = [line for line in output.splitlines() if line.startswith("layers, ")]
    assert titles == [f"layers, batch 2, width {w}, {d}" for w in (3, 2) for d in ("float32", "float64")]
    assert output.count("LogSigmoid") == 4


def test_a_network_without_a_hidden_width_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--layers", "--sizes", "5,3"])
    assert "argument --layers: expected --sizes with a hidden width, as in 784,64,10" in capsys.readouterr().err
