"""Manual pages and completions, which the program makes of its own tables: read by groff and by the shells."""

import os
import subprocess

import pytest

from walship_testing.proc import run_ok
from walship_testing.walship import binary


@pytest.fixture(scope="module")
def share(tmp_path_factory):
    directory = tmp_path_factory.mktemp("share")
    run_ok([binary(), "manual", "--into", directory])
    return directory


def commands_of():
    overview = run_ok([binary(), "--help"]).out.split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in overview.splitlines()]


def test_every_command_has_a_page_and_groff_has_no_objection(share):
    pages = sorted(share.glob("man/man*/*"))
    names = {page.name for page in pages}
    assert names == {f"walship-{name}.1" for name in commands_of()} | {"walship.1", "walship.conf.5"}
    for page in pages:
        made = subprocess.run(["groff", "-man", "-Tutf8", "-P-cbou", "-ww", str(page)], capture_output=True, text=True, check=True, timeout=20)
        assert made.stderr == ""
        assert page.name in ("walship.1", "walship.conf.5") or "EXIT STATUS" in made.stdout, page.name


def test_a_page_says_what_help_says():
    page = run_ok([binary(), "manual", "recover"]).out
    for line in run_ok([binary(), "recover", "--help"]).out.splitlines():
        if line.startswith("  --"):
            assert line.split()[0].replace("-", "\\-") in page, line


def test_bash_completes_commands_options_and_settings(share):
    script = share / "bash-completion/completions/walship"

    def complete(*words):
        line = " ".join(f"'{word}'" for word in words)
        shell = f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _walship; echo \"${{COMPREPLY[@]}}\""
        return run_ok(["bash", "-c", shell]).out.split()

    assert complete("walship", "rec") == ["recover"]
    assert "--target-time" in complete("walship", "recover", "--target-")
    assert complete("walship", "push", "--state-") == ["--state-dir"]
    assert complete("walship", "push", "--state-dir", "") == []  # then bash offers files
    assert complete("walship", "--vers") == ["--version"]


def test_fish_and_zsh_complete_too(share):
    fish = share / "fish/vendor_completions.d/walship.fish"
    zsh = share / "zsh/site-functions/_walship"
    environment = {**os.environ, "HOME": str(share), "XDG_CONFIG_HOME": str(share)}
    offered = subprocess.run(
        ["fish", "-c", f"source {fish}; complete -C 'walship recover --target-t'"],
        capture_output=True, text=True, check=True, timeout=20, env=environment,
    ).stdout
    assert offered.startswith("--target-time\t")
    subprocess.run(["zsh", "-n", str(zsh)], check=True, timeout=20)


def test_what_is_not_there_is_a_usage_error():
    for arguments, says in ((["manual", "nothing"], "no manual page"), (["completion", "tcsh"], "bash, zsh and fish")):
        tried = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=20)
        assert tried.returncode == 2 and says in tried.stderr
