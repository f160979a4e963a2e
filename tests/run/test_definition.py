"""A system from a file is found again by the steps that come later, by the service, and by the report's commands."""

from pathlib import Path

from sixfold.cli import reopen
from sixfold.run.home import open_home
from sixfold.run.report import next_commands


def test_later_steps_find_the_file_that_a_system_came_from(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from dataclasses import replace\nfrom sixfold.systems.video import system as video\n")
    file.write_text(file.read_text() + 'system = replace(video, name="mine")\n')
    home = open_home(tmp_path / "home", "mine", "shorts")
    home.remember(definition=str(file))
    again, system = reopen(tmp_path / "home", None, None)
    assert (again.folder, system.name, again.definition) == (home.folder, "mine", str(file))
    assert all(f"--system {file} --data shorts" in command.command for command in next_commands(home))


def test_a_shipped_system_is_called_by_its_name(tmp_path: Path) -> None:
    assert open_home(tmp_path, "video", "shorts").definition == "video"
