"""Batch scripts are what sbatch reads as it is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.testing import script


def test_options_become_directives_behind_those_that_are_there_and_win() -> None:
    text = "#!/bin/sh\n#SBATCH --nodes=1\n\n# why\n#SBATCH -t 5\n\necho hi\n#SBATCH --late=1\n"
    rendered = script.render(
        text, {"nodes": 2, "cpus_per_task": 4, "exclusive": True, "hold": False, "qos": None}
    )
    assert rendered.splitlines() == [
        *("#!/bin/sh", "#SBATCH --nodes=1", "", "# why", "#SBATCH -t 5"),
        *("#SBATCH --output=stdout", "#SBATCH --error=stderr"),
        *("#SBATCH --nodes=2", "#SBATCH --cpus-per-task=4", "#SBATCH --exclusive"),
        *("", "echo hi", "#SBATCH --late=1"),
    ]


def test_a_script_without_an_interpreter_is_bash() -> None:
    assert script.render("hostname", {}).startswith("#!/bin/bash\n#SBATCH ")


@pytest.mark.parametrize("text", ["#SBATCH -o research.out", "#SBATCH --output=research.out"])
def test_output_that_the_script_sends_elsewhere_stays_there(text: str) -> None:
    assert "stdout" not in script.render(f"{text}\ntrue", {})
    assert "stdout" not in script.render("true", {"error": "errors"})


def test_what_has_spaces_is_one_word_to_sbatch() -> None:
    assert "#SBATCH --comment='a b'\n" in script.render("true", {"comment": "a b"})


def test_text_is_a_path_where_there_is_such_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.sh").write_text("from the file\n")
    (tmp_path / "hostname").write_text("a file of that name\n")
    assert script.text("job.sh") == script.text(Path("hostname").with_name("job.sh")) == "from the file\n"
    assert script.text("hostname") == "hostname"
    assert script.text("./other.sh") == "./other.sh"
    with pytest.raises(Exception, match="there is no script"):
        script.text(Path("other.sh"))
