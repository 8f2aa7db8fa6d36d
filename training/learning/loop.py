"""The loop of fine-tuning: epochs of steps, validation after each, checkpoints, and the way back after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from training.contract import Progress, RunConfig
from training.learning.cache import Inputs
from training.learning.checkpoint import BEST, LAST, load, save
from training.learning.learner import Learner
from training.learning.loader import Loader
from training.learning.measures import Measures, is_better, measure
from training.learning.profiling import Profile
from training.learning.stopping import Cancelled, LearnedNothing, Stop
from training.run_folder import RunFolder

_SECONDS_BETWEEN_WORDS = 1.0


@dataclass(slots=True)
class State:
    """How far a run is. `epoch` counts whole epochs, `step` all steps, `first` those of the epoch under way."""

    epoch: int = 0
    step: int = 0
    first: int = 0
    loss_sum: float = 0.0
    without_better: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Loop:
    """One fine-tuning, from its first step or from its last checkpoint. `truth` is that of the validation inputs."""

    learner: Learner
    loader: Loader
    validation: Inputs
    truth: NDArray[np.int64]
    config: RunConfig
    folder: RunFolder
    stop: Stop
    identity: str
    state: State = field(default_factory=State)
    best: Measures | None = None
    _said: float = 0.0
    _rate: float = 0.0

    def run(self) -> None:
        """All epochs that are left; afterwards the learner holds the weights of the best one."""
        self._resume()
        self.learner.on_halving = lambda pieces: self.folder.log(
            f"out of memory: a step is computed in {pieces} pieces from now on"
        )
        profile = Profile(self.folder, self.learner.machine, self.config.profile_steps)
        try:
            while self.state.epoch < self.config.epochs and not self._is_patient_no_more():
                self._epoch(profile)
        finally:
            profile.close()
        self._take_best()

    def _epoch(self, profile: Profile) -> None:
        state, learner = self.state, self.learner
        learner.begin_epoch(state.epoch)
        begun, first = time.monotonic(), state.first
        sums = torch.zeros((), device=learner.machine.device)
        for batch in profile.watch(self.loader.epoch(state.epoch, first=first)):
            sums += learner.step(batch, state.step)
            state.step += 1
            state.first += 1
            saves = state.step % self.config.checkpoint_steps == 0
            stops = self._asked_to_stop()
            if saves or stops or time.monotonic() - self._said > _SECONDS_BETWEEN_WORDS:
                state.loss_sum += float(sums)
                sums.zero_()
                self._refuse_nan()
                self._rate = (state.first - first) * self.config.batch_size / (time.monotonic() - begun)
                self._say_step()
            if saves or stops:
                self._save_last()
            if stops:
                raise Cancelled("it was asked to stop; its checkpoint says where to go on")
        state.loss_sum += float(sums)
        self._refuse_nan()
        self._rate = max(1, state.first - first) * self.config.batch_size / max(1e-9, time.monotonic() - begun)
        self._after_epoch()

    def _after_epoch(self) -> None:
        state = self.state
        train_loss = state.loss_sum / max(1, state.first)
        found = self._validate()
        better = is_better(self.config.metric, found, self.best) if found else True
        state.epoch, state.first, state.loss_sum = state.epoch + 1, 0, 0.0
        state.without_better = 0 if better else state.without_better + 1
        state.history.append({"epoch": state.epoch, "train_loss": train_loss, **(asdict(found) if found else {})})
        if better:
            self.best = found
            self._save_best(found)
        self._save_last()
        self._say_epoch(train_loss, found, better)

    def _validate(self) -> Measures | None:
        if not len(self.truth):
            return None
        logits = self.predict_validation()
        if not np.isfinite(logits).all():
            raise LearnedNothing("the network's answers are not numbers (NaN): lower learning_rate, or precision=f32")
        return measure(logits, self.truth)

    def predict_validation(self) -> NDArray[np.float32]:
        """Logits of the validation part; several processes share the work and all get the whole."""
        machine, pixels = self.learner.machine, self.validation.pixels
        if machine.world == 1:
            return self.learner.predict(pixels)
        cuts = np.linspace(0, len(pixels), machine.world + 1).astype(int)
        sizes = np.diff(cuts)
        whole = torch.zeros(machine.world, int(sizes.max()), self.learner.loss.classes, device=machine.device)
        if sizes[machine.rank]:
            own = self.learner.predict(pixels[cuts[machine.rank] : cuts[machine.rank + 1]])
            whole[machine.rank, : len(own)] = torch.from_numpy(own)
        dist.all_reduce(whole)
        return np.concatenate([whole[rank, :size].cpu().numpy() for rank, size in enumerate(sizes)])

    def _asked_to_stop(self) -> bool:
        """Asked of any process, all stop at the same step."""
        machine = self.learner.machine
        if machine.world == 1:
            return self.stop.asked
        return bool(machine.together(torch.tensor(float(self.stop.asked), device=machine.device)))

    def _is_patient_no_more(self) -> bool:
        return bool(self.config.patience) and self.state.without_better >= self.config.patience

    def _refuse_nan(self) -> None:
        loss = self.state.loss_sum
        if self.learner.machine.world > 1:
            # One process must not stop while another waits for its gradients.
            seen = torch.tensor(float(not math.isfinite(loss)), device=self.learner.machine.device)
            loss = float("nan") if bool(self.learner.machine.together(seen)) else loss
        if not math.isfinite(loss):
            raise LearnedNothing(
                f"the loss was no number at step {self.state.step}: lower learning_rate, or use precision=f32"
            )

    def _resume(self) -> None:
        saved = load(self.folder.checkpoint, LAST)
        if saved is None:
            return
        if saved.values["identity"] != self.identity:
            self.folder.log("the checkpoint is of other settings, labels or images: the run begins anew")
            return
        self.learner.restore(saved)
        self.state = State(**saved.values["progress"])
        kept = load(self.folder.checkpoint, BEST)
        self.best = _measures(kept.values) if kept is not None else None
        self.folder.log(f"resumed at step {self.state.step}, epoch {self.state.epoch + 1}")

    def _save_last(self) -> None:
        if not self.learner.machine.leads:
            return
        tensors, values = self.learner.tensors()
        state = {"identity": self.identity, "progress": asdict(self.state), "learner": values}
        save(self.folder.checkpoint, LAST, tensors, state)

    def _save_best(self, found: Measures | None) -> None:
        if self.learner.machine.leads:
            values = {"epoch": self.state.epoch, "measures": asdict(found) if found else None}
            save(self.folder.checkpoint, BEST, self.learner.best_network.state_dict(), values)

    def _take_best(self) -> None:
        self.learner.machine.wait()
        kept = load(self.folder.checkpoint, BEST)
        if kept is not None:
            self.learner.best_network.load_state_dict(dict(kept.tensors), strict=True)

    def _say_step(self) -> None:
        self._said = time.monotonic()
        state = self.state
        left = (self.loader.epoch_steps * self.config.epochs - state.step) * self.config.batch_size
        self.folder.say(
            Progress(
                kind="step",
                at=time.time(),
                stage="training",
                epoch=state.epoch + 1,
                epochs=self.config.epochs,
                step=state.step,
                steps=self.loader.epoch_steps * self.config.epochs,
                images_per_second=self._rate,
                seconds_left=left / self._rate if self._rate else None,
                device=self.learner.machine.words,
                learning_rate=self.config.learning_rate * self.learner.schedule.factor(state.step),
                train_loss=state.loss_sum / max(1, state.first),
            )
        )

    def _say_epoch(self, train_loss: float, found: Measures | None, better: bool) -> None:
        left = self.loader.epoch_steps * (self.config.epochs - self.state.epoch) * self.config.batch_size
        self.folder.say(
            Progress(
                kind="epoch",
                at=time.time(),
                stage="training",
                epoch=self.state.epoch,
                epochs=self.config.epochs,
                step=self.state.step,
                steps=self.loader.epoch_steps * self.config.epochs,
                images_per_second=self._rate,
                seconds_left=left / self._rate,
                device=self.learner.machine.words,
                learning_rate=self.config.learning_rate * self.learner.schedule.factor(self.state.step - 1),
                train_loss=train_loss,
                best=better,
                validation_loss=found.loss if found else None,
                accuracy=found.accuracy if found else None,
                balanced_accuracy=found.balanced_accuracy if found else None,
                macro_f1=found.macro_f1 if found else None,
            )
        )


def _measures(values: Mapping[str, Any]) -> Measures | None:
    return Measures(**values["measures"]) if values["measures"] else None
