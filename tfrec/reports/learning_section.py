"""Learning curves: loss by step and epoch, and validation scores by epoch."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

from tfrec.evaluation.result import Evaluation
from tfrec.reports import plots
from tfrec.reports.figures import MISSING, Plot, Section, number, plot_of
from tfrec.reports.plots import BASELINE, MODEL, Axes, Line
from tfrec.training.learning_curve import Epoch


def learning_section(evaluation: Evaluation) -> Section:
    epochs = evaluation.details.training
    phases = {
        phase: [epoch for epoch in epochs if epoch.phase == phase] for phase in dict.fromkeys(e.phase for e in epochs)
    }
    shown = [_loss(f"loss-{index}", phase, own) for index, (phase, own) in enumerate(phases.items())]
    scored = [epoch for epoch in epochs if not math.isnan(epoch.ndcg)]
    if scored:
        shown.append(_validation(scored))
    text = MISSING
    if epochs:
        text = "The loss of each phase of training, and the NDCG@20 on the validation window after each epoch."
    return Section("learning", "Learning curves", text, shown)


def _loss(key: str, phase: str, epochs: Sequence[Epoch]) -> Plot:
    """Loss by step with the means of the epochs; of files without steps, the loss of each epoch."""
    title = f"Loss: {phase}"
    if not all(epoch.steps for epoch in epochs):
        losses = {"loss": [epoch.loss for epoch in epochs]}
        plot = _by_epoch(key, title, Axes("epoch", "loss", starts_at_zero=False), [e.number for e in epochs], losses)
        return dataclasses.replace(plot, caption="Loss of the last step of each epoch.")
    ends = [0]  # steps before each epoch, over all epochs
    for epoch in epochs:
        ends.append(ends[-1] + epoch.steps[-1][0])
    steps = [(start + step, loss) for start, epoch in zip(ends, epochs, strict=False) for step, loss in epoch.steps]
    mean_x = [x for pair in itertools.pairwise(ends) for x in pair]
    lines = [
        Line("loss by step", [step for step, _ in steps], [loss for _, loss in steps], MODEL),
        Line("mean of the epoch", mean_x, [epoch.loss for epoch in epochs for _ in range(2)], BASELINE),
    ]
    by_epoch = "; ".join(f"epoch {epoch.number} {number(epoch.loss)}" for epoch in epochs)
    axes = Axes("step, over all epochs", "loss", starts_at_zero=False)
    rows: list[tuple[str, ...]] = []
    for start, epoch in zip(ends, epochs, strict=False):
        means = [""] * (len(epoch.steps) - 1) + [number(epoch.loss)]
        rows += [
            (str(epoch.number), f"{start + step:,}", number(loss), mean)
            for (step, loss), mean in zip(epoch.steps, means, strict=True)
        ]
    return Plot(
        title,
        "Mean loss of the steps between two points, and mean over the steps of each epoch.",
        plots.draw_lines(key, f"{title}. Means: {by_epoch}.", lines, axes),
        ("epoch", "step", "loss by step", "mean of the epoch"),
        rows,
    )


def _validation(epochs: Sequence[Epoch]) -> Plot:
    values = {"all items": [epoch.ndcg for epoch in epochs], "new to the user": [epoch.ndcg_novel for epoch in epochs]}
    axes = Axes("epoch, over all phases", "NDCG@20")
    plot = _by_epoch("validation", "NDCG@20 on the validation window", axes, list(range(1, len(epochs) + 1)), values)
    phases = ", ".join(
        f"{sum(epoch.phase == phase for epoch in epochs)} of phase {phase}"
        for phase in dict.fromkeys(e.phase for e in epochs)
    )
    return dataclasses.replace(plot, caption=f"Epochs: {phases}.")


def _by_epoch(key: str, title: str, axes: Axes, numbers: list[int], values: dict[str, list[float]]) -> Plot:
    lines = [Line(name, numbers, y, color) for (name, y), color in zip(values.items(), (MODEL, BASELINE), strict=False)]
    return plot_of(
        key,
        title,
        lines,
        ["epoch", *map(str, numbers)],
        lambda key, description: plots.draw_lines(key, description, lines, axes),
    )
