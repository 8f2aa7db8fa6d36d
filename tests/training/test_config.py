"""The configuration of a run: loud, complete, explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.__main__ import main
from training.config import read_config, write_config
from training.contract import (
    ConfigError,
    Progress,
    RunConfig,
    changed,
    explain,
    follow,
    parse_config,
    progress_text,
    with_overrides,
)
from training.run_folder import RunFolder
from training.train import train


@pytest.fixture
def config() -> RunConfig:
    return parse_config({"start_from": "somewhere"})


def test_an_unknown_setting_is_an_error_that_names_near_ones() -> None:
    with pytest.raises(ConfigError, match="no setting 'epoch'. Did you mean epochs"):
        parse_config({"epoch": 3})


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("epochs=many", "epochs=many: a whole number is expected"),
        ("recipe=bake", "recipe is 'bake'; it is one of head, fine-tune, two-stage"),
        ("flip=1.5", "flip must lie in 0..1"),
        ("epochs=0", "epochs must be above 0"),
        ("learning_rate=nan", "learning_rate is nan; a number is expected"),
        ("learning_rate=inf", "learning_rate is inf; a number is expected"),
        ("deterministic=maybe", "true or false is expected"),
        ("epochs", "not of the form key=value"),
        ("start=pretrained", "start=pretrained needs architecture=NAME"),
        ("accumulate=64", "cuts a batch of 32 into less than images"),
    ],
)
def test_what_cannot_be_meant_is_refused(config: RunConfig, word: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        with_overrides(config, [word])


def test_a_number_that_yaml_takes_for_text_is_a_number(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("start_from: somewhere\nlearning_rate: 3e-4\nweight_decay: 1E-2\nname: 1e-3\n")
    made = read_config(file)
    assert (made.learning_rate, made.weight_decay, made.name) == (3e-4, 1e-2, "1e-3")


def test_a_setting_that_stands_twice_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("start_from: somewhere\nepochs: 3\nepochs: 30\n")
    with pytest.raises(ConfigError, match="'epochs' stands there twice"):
        read_config(file)
    assert train(tmp_path, ["start_from=x"], config_file=tmp_path / "none.yaml") == 1
    assert "there is no such file" in (tmp_path / "ended.json").read_text()


def test_nothing_starts_from_nothing_unless_it_says_so() -> None:
    with pytest.raises(ConfigError, match="start=version needs start_from"):
        parse_config({"recipe": "fine-tune", "architecture": "resnet18"})
    assert parse_config({"start": "nothing", "architecture": "resnet18"}).start == "nothing"


def test_a_head_cannot_be_learned_on_a_network_without_a_model_folder() -> None:
    with pytest.raises(ConfigError, match="recipe=head needs the embeddings of a model folder"):
        parse_config({"recipe": "head", "start": "nothing", "architecture": "resnet18"})
    with pytest.raises(ConfigError, match="leave input_size at 0"):
        parse_config({"recipe": "head", "start_from": "somewhere", "input_size": 64})


def test_overrides_have_the_type_of_their_setting(config: RunConfig) -> None:
    made = with_overrides(config, ["epochs=3", "flip=0", "deterministic=yes", "name=a=b"])
    assert (made.epochs, made.flip, made.deterministic, made.name) == (3, 0.0, True, "a=b")
    assert changed(made) == {
        "epochs": 3,
        "flip": 0.0,
        "deterministic": True,
        "name": "a=b",
        "start_from": "somewhere",
    }


def test_the_written_file_reads_back_the_same_and_explains_itself(config: RunConfig, tmp_path: Path) -> None:
    made = with_overrides(config, ["epochs=3", "schedule=one-cycle", "learning_rate=0.0003"])
    write_config(tmp_path / "config.yaml", made)
    assert read_config(tmp_path / "config.yaml") == made
    text = (tmp_path / "config.yaml").read_text()
    assert all(one.key in text for one in explain())
    assert "# times that all training images are seen" in text


def test_a_file_may_leave_to_the_command_line_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("epochs: 3\n")
    assert read_config(tmp_path / "c.yaml", ["start_from=x"]).epochs == 3
    (tmp_path / "c.yaml").write_text("epoch: 3\n")
    with pytest.raises(ConfigError, match="no setting 'epoch'"):
        read_config(tmp_path / "c.yaml", ["start_from=x"])


def test_every_setting_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(len(one.meaning) > 10 and one.section for one in explain())
    assert main(["train", "--explain"]) == 0
    said = capsys.readouterr().out
    assert all(f"{one.key}=" in said for one in explain())


def test_progress_is_followed_from_where_one_was_and_a_half_line_waits(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.log("one")
    [(place, first)] = follow(folder.progress)
    assert first.text == "one"
    whole = progress_text(Progress(kind="log", at=1.0, text="two"))
    with folder.progress.open("a") as file:
        file.write(whole[:10])
    assert list(follow(folder.progress, after=place)) == []
    folder.mend_progress()
    folder.log("three")
    assert [said.text for _, said in follow(folder.progress, after=place)] == ["three"]


def test_settings_may_stand_before_and_after_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-find", str(tmp_path), "seed=1", "--steps", "20", "epochs=many"]) == 1
    assert "epochs=many: a whole number is expected" in capsys.readouterr().err
    for words in (["lr-find", str(tmp_path), "--steps", "20", "--epochs=3"], ["compare", "A", "B", "epochs=3"]):
        with pytest.raises(SystemExit, match="2"):
            main(words)
        assert f"unrecognized arguments: {words[-1]}" in capsys.readouterr().err
