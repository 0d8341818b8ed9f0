"""`indicia simulate`: policies compared, swept and varied; pictures; the same seed is the same result."""

import json
import subprocess
from xml.etree import ElementTree

import pytest

from harness.server import BINARY

pytestmark = pytest.mark.e2e

SHORT = ["--weeks", "1", "--seed", "5"]


def simulate(*arguments, expect=0):
    done = subprocess.run([BINARY, "simulate", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == expect, done.stderr
    return done


def test_a_policy_file_is_set_against_another_and_against_none(tmp_path):
    strict, lax = tmp_path / "strict.toml", tmp_path / "lax.toml"
    strict.write_text("[quota]\nversion = 'strict'\n[quota.pause]\ninvalid = 5\n")
    lax.write_text("[quota]\nversion = 'lax'\nrecipients_min = 100000000\n")
    arguments = ["--policy", strict, "--against", lax, "--against", "none", "--json", *SHORT]
    result = json.loads(simulate(*arguments).stdout)
    assert (result["weeks"], result["seeds"]) == (1, {"from": 5, "to": 5})
    by_name = {regime["regime"]: regime for regime in result["regimes"]}
    assert list(by_name) == ["strict.toml", "lax.toml", "none"]
    assert by_name["strict.toml"]["bought"]["stopped"] == 1.0, "paused by the brake"
    assert by_name["lax.toml"]["bought"]["stopped"] == 0.0, "a policy that never has enough data pauses nobody"
    assert by_name["strict.toml"]["bad_mails"]["mean"] < by_name["none"]["bad_mails"]["mean"] / 20


def test_threads_do_not_change_the_result_and_seeds_do():
    one = simulate("--threads", "1", "--weeks", "1", "--seed", "1..3").stdout
    assert one == simulate("--threads", "3", "--weeks", "1", "--seed", "1..3").stdout
    assert "3 runs of 1 week for each" in one and "arrival of good senders" in one
    assert one != simulate("--weeks", "1", "--seed", "4..6").stdout


def test_pictures_are_drawn(tmp_path):
    folder = tmp_path / "new" / "folder"
    simulate("--against", "none", "--svg", folder, *SHORT)
    simulate("--sweep", "pause.invalid=5,20", "--svg", folder, *SHORT)
    drawn = sorted(path.name for path in folder.iterdir())
    assert drawn == ["arrival-by-week.svg", "arrival.svg", "harm.svg", "quota.svg", "stopping.svg",
                     "sweep-pause-invalid.svg"]
    for path in folder.iterdir():
        root = ElementTree.parse(path).getroot()
        assert root.tag.endswith("svg") and len(root) > 10, path.name


def test_a_sweep_has_a_line_for_each_value():
    lines = simulate("--sweep", "reports_min=1,3,5", *SHORT).stdout.splitlines()
    assert lines[0].split()[0] == "reports_min"
    assert [line.split()[0] for line in lines[1:]] == ["1", "3", "5"]


def test_the_worlds_numbers_are_printed_with_their_sources():
    printed = simulate("--constants").stdout
    assert "| `complaint_line` | 0.003 |" in printed and "support.google.com" in printed


@pytest.mark.parametrize("arguments,named", [
    (["--weeks", "0"], "--weeks"), (["--seed", "5..1"], "1..100"), (["--against", "fixed:0"], "fixed:50000"),
    (["--against", "nowhere.toml"], "nowhere.toml"), (["--sweep", "price=1..2"], "pause.invalid"),
    (["--sweep", "pause.invalid=0..5"], "pause.invalid cannot be 0"), (["--policy", "/nonexistent/p.toml"], "p.toml")])
def test_what_cannot_be_simulated_is_exit_status_2_and_named(arguments, named):
    done = simulate(*arguments, expect=2)
    assert named in done.stderr and not done.stdout, done.stderr
