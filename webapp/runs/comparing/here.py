"""Evaluations and comparisons carried out by a command, with the site running or stopped."""

from __future__ import annotations

import time

from webapp.errors import Invalid
from webapp.leases import UNDER_WAY
from webapp.projects.models import Project
from webapp.runs.comparing.command import Words, quiet
from webapp.runs.comparing.compare import carry_out_comparison
from webapp.runs.comparing.evaluate import carry_out_evaluation
from webapp.runs.models import Comparison, Evaluation
from webapp.versions.activate import active_pipeline
from webapp.versions.exchange import find_version
from webapp.versions.models import Version

LOOK_SECONDS = 0.5
ACTIVE = "active"


def chosen_version(text: str, project: Project) -> Version:
    """By id, digest or name; `active` is what answers now."""
    if text != ACTIVE:
        return find_version(text, project=project)
    pipeline = active_pipeline(project)
    if pipeline is None or pipeline.classifier is None:
        raise Invalid(f"No classifier is in use in {project.slug}: name a version.", code="no-model")
    return pipeline.classifier


def evaluated_here(row: Evaluation, say: Words = quiet) -> Evaluation:
    """Until it ended: here or, where a worker of the site was quicker, there."""
    while row.state in UNDER_WAY:
        if carry_out_evaluation(row.pk, say=say) is None:
            say("waiting: a run or another evaluation is at work on this machine")
            time.sleep(LOOK_SECONDS)
        row.refresh_from_db()
    return row


def compared_here(row: Comparison, say: Words = quiet) -> Comparison:
    """The same for a comparison, with the evaluations that it waits for."""
    while row.state in UNDER_WAY:
        for evaluation in (row.a, row.b):
            if evaluation is not None:
                evaluated_here(evaluation, say)
        say("comparing")
        if carry_out_comparison(row.pk) is None:
            time.sleep(LOOK_SECONDS)
        row.refresh_from_db()
    return row
