"""What ``scaling.py`` found, as tables in Markdown and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

from scripts.scale.model import NETWORKS, Machine, Network, all_reduce_seconds, bytes_sent, parameters, step_seconds

MACHINES = (1, 2, 4, 8, 64, 512)


def networks_of(result: dict[str, Any]) -> list[Network]:
    """The network that was measured, then the assumed ones."""
    return [Network(**result["network"]), *NETWORKS]


def predictions(result: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each number of machines: seconds of a step and efficiency by network, strong and weak scaling."""
    sizes, machine = result["settings"]["sizes"], Machine(**result["machine"])
    whole, each = result["settings"]["global_batch"], result["settings"]["batch"]
    rows = []
    for p in MACHINES:
        row: dict[str, Any] = {"machines": p}
        for network in networks_of(result):
            strong = step_seconds(sizes, whole, p, machine, network)
            weak = step_seconds(sizes, each * p, p, machine, network)
            row[network.name] = {
                "strong": strong,
                "strong_efficiency": step_seconds(sizes, whole, 1, machine, network) / (p * strong),
                "weak": weak,
                "weak_efficiency": step_seconds(sizes, each, 1, machine, network) / weak,
            }
        rows.append(row)
    return rows


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def milliseconds(seconds: float) -> str:
    """Three digits."""
    return f"{1e3 * seconds:#.3g}".rstrip(".") + " ms"


def markdown(result: dict[str, Any]) -> str:
    """The tables, with a line before each."""
    settings, machine, network = result["settings"], Machine(**result["machine"]), Network(**result["network"])
    sizes, cores = settings["sizes"], result["cores"]
    gradient = 4 * parameters(sizes)
    parts = [
        f"Measured on {result['description']}.",
        f"Network {'-'.join(map(str, sizes))}, float32: {parameters(sizes):,} parameters, a gradient of "
        f"{gradient / 1e6:.2f} MB. One process alone: {milliseconds(machine.fixed)} a step whatever the batch, and "
        f"{machine.rate / 1e9:.1f} GFLOP/s. All-reduce between 2 processes: {1e6 * network.latency:.0f} us a message, "
        f"{network.bandwidth / 1e9:.2f} GB/s.",
        "Measured against the model, which took its four numbers from one process's steps and from all-reduces between "
        'two processes. "Without exchange" is the same share in the same number of processes at once, none of which '
        "waits for another:",
        table(
            (
                "processes",
                "batch",
                "rows each",
                "step, measured",
                "its quartiles",
                "without exchange",
                "by the model",
                "off by",
            ),
            [_measured_row(row, sizes, machine, network, cores) for row in result["steps"]],
        ),
        "Bytes that each process sends for one gradient, by formula and as counted on the loopback device with the "
        "headers of TCP and IP, and the time of an all-reduce of that size, which the model of two processes gives for "
        "four too:",
        table(
            ("processes", "bytes, 2 (p - 1) / p n", "bytes counted", "all-reduce, measured", "by the model"),
            [_bytes_row(row, gradient, network) for row in result["all_reduce"]],
        ),
        f"Predicted: one batch of {settings['global_batch']:,} rows divided among all machines (strong scaling), time "
        "of a step and efficiency T(1) / (p T(p)):",
        _prediction_table(result, "strong"),
        f"Predicted: {settings['batch']:,} rows for each machine (weak scaling), time of a step and efficiency "
        "T(1) / T(p):",
        _prediction_table(result, "weak"),
    ]
    return "\n\n".join(parts)


def _measured_row(
    row: dict[str, Any], sizes: Sequence[int], machine: Machine, network: Network, cores: int
) -> tuple[str, ...]:
    p, batch, seconds = row["processes"], row["batch"], row["seconds"]
    modelled = step_seconds(sizes, batch, p, machine, network, cores)
    quartiles = " .. ".join(milliseconds(q) for q in row["quartiles"])
    off = f"{modelled / seconds - 1:+.0%}"
    apart = milliseconds(row["apart"])
    return f"{p}", f"{batch:,}", f"{batch / p:g}", milliseconds(seconds), quartiles, apart, milliseconds(modelled), off


def _bytes_row(row: dict[str, Any], gradient: int, network: Network) -> tuple[str, ...]:
    p, counted = row["processes"], row["bytes"]
    measured = next(seconds for size, seconds in row["seconds"] if size == gradient)
    return (
        f"{p}",
        f"{bytes_sent(gradient, p):,.0f}",
        "not counted" if counted is None else f"{counted / p:,.0f}",
        milliseconds(measured),
        milliseconds(all_reduce_seconds(gradient, p, network)),
    )


def _prediction_table(result: dict[str, Any], kind: str) -> str:
    names = [network.name for network in networks_of(result)]
    rows = [
        [f"{row['machines']}", *(f"{milliseconds(row[n][kind])}, {row[n][f'{kind}_efficiency']:.0%}" for n in names)]
        for row in result["predictions"]
    ]
    return table(("machines", *names), rows)


# Colours that the colour-blind tell apart (Okabe and Ito).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")


def draw(result: dict[str, Any], path: Path) -> None:
    """Three panels: the all-reduce against size; the step, measured and predicted; the efficiency of weak scaling."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    network = Network(**result["network"])
    for row, colour, marker in zip(result["all_reduce"], COLOURS, "os^D", strict=False):
        sizes, seconds = np.array(row["seconds"]).T
        p = row["processes"]
        left.loglog(sizes, 1e3 * seconds, marker, color=colour, label=f"{p} processes, measured")
        modelled = [1e3 * all_reduce_seconds(size, p, network) for size in sizes]
        left.loglog(sizes, modelled, color=colour, label=f"{p} processes, model{' (fitted)' * (p == 2)}")
    left.set(xlabel="bytes", ylabel="milliseconds", title=f"all-reduce on {result['cores']} shared cores")
    for name, colour, style in zip((n.name for n in networks_of(result)), COLOURS, ("-", "--", ":"), strict=False):
        machines = [row["machines"] for row in result["predictions"]]
        middle.loglog(
            machines,
            [1e3 * r[name]["strong"] for r in result["predictions"]],
            style,
            color=colour,
            marker=".",
            label=name,
        )
        efficiency = [100 * r[name]["weak_efficiency"] for r in result["predictions"]]
        right.semilogx(machines, efficiency, style, color=colour, marker=".", label=name)
    ideal = [result["predictions"][0][network.name]["strong"] * 1e3 / p for p in machines]
    middle.loglog(machines, ideal, color="grey", linewidth=0.8, label="T(1) / p")
    whole, each = result["settings"]["global_batch"], result["settings"]["batch"]
    middle.set(xlabel="machines", ylabel="milliseconds a step", title=f"predicted: {whole:,} rows in all")
    right.set(xlabel="machines", ylabel="efficiency (%)", ylim=(0, 105), title=f"predicted: {each:,} rows each")
    for axis in (left, middle, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    for axis in (middle, right):
        axis.set_xticks(machines, [str(p) for p in machines])
        axis.minorticks_off()
    figure.savefig(path, dpi=110)
    plt.close(figure)
