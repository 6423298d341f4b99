"""Manual pages and completions, which the program makes of its own tables: read by groff and by the shells."""

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest

from walship_testing.proc import run_ok
from walship_testing.walship import binary


ROOT = Path(__file__).parents[2]
OPTIONS_UNGROUPED = 8  # more than these nobody reads as one list
HELP_WIDTH = 125


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


def test_the_page_of_the_format_is_its_document(tmp_path):
    """Made of docs/format.md when walship is built."""
    document = (ROOT / "docs/format.md").read_text()
    page = tmp_path / "walship-format.7"
    made = run_ok(["awk", "-v", "name=walship-format", "-v", "section=7", "-v", "version=1", "-f", ROOT / "contrib/manual-page.awk",
                   ROOT / "docs/format.md"])  # fmt: skip
    page.write_text(made.out)
    read = subprocess.run(["groff", "-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=200n", str(page)], capture_output=True, text=True, check=True, timeout=20)
    assert read.stderr == ""
    flat = re.sub(r"\s+", " ", read.stdout.replace("\u2010\n", ""))
    for heading in re.findall(r"^##+ (.*)$", document, re.MULTILINE):
        assert heading in flat
    for member in re.findall(r"^\| `([a-z_]+)` \|", document, re.MULTILINE):
        assert member in flat, member
    for line in re.findall(r"^```sh\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)[0].splitlines():
        assert line.strip().replace("'", "\u2019") in read.stdout.replace("'", "\u2019"), "a script can be taken from the page"


def sections_of(text):
    """What --help has below each heading."""
    return dict(re.findall(r"^([A-Z][^\n]*):\n((?:^ .*\n)+)", text, re.MULTILINE))


def faults_of_help(command):
    text = run_ok([binary(), command, "--help"]).out
    sections = sections_of(text)
    options = re.findall(r"^  (--[a-z0-9-]+)", text, re.MULTILINE)
    examples = sections.get("Examples", "").splitlines()
    used = set(re.findall(r"(?<= )--[a-z0-9-]+", "\n".join(examples)))
    known = {*options, *re.findall(r"^  (--[a-z0-9-]+)", run_ok([binary(), "--help"]).out, re.MULTILINE)}
    groups = [name for name, lines in sections.items() if "  --" in lines]

    if "    0  done" not in sections.get("Exit codes", ""):
        yield "no exit codes"
    if len(examples) < 2 or not all(f"walship {command}" in example for example in examples):
        yield "not two examples of it"
    if command != "each" and used - known:  # each has options of other commands in its examples
        yield f"examples with unknown options: {used - known}"
    if len(options) > OPTIONS_UNGROUPED and len(groups) < 3:
        yield f"{len(options)} options in {groups}"
    if max(map(len, text.splitlines())) > HELP_WIDTH:
        yield "long lines"


def test_help_has_exit_codes_two_examples_and_groups():
    faults = {command: list(faults_of_help(command)) for command in commands_of()}
    assert not {command: found for command, found in faults.items() if found}


def test_help_of_a_command_may_be_asked_for_in_either_order():
    assert run_ok([binary(), "help", "recover"]).out == run_ok([binary(), "recover", "--help"]).out
    assert run_ok([binary(), "help"]).out == run_ok([binary(), "--help"]).out


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


def typed_into_zsh(share, line, expected):
    """What is on the terminal of an interactive zsh after the line, in which a tab asks for completion."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(HOME=str(share), TERM="dumb", PS1="ready> ")
        os.execvp("zsh", ["zsh", "-f", "-i"])
    os.write(terminal, f"PS1='ready> '; fpath=({share}/zsh/site-functions $fpath); autoload -U compinit; compinit -u -D; print loa''ded\n".encode())
    shown, sent, end = "", False, time.monotonic() + 20
    try:
        while expected not in shown and time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
            if not sent and re.search(r"loaded\r?\n[^\n]*ready> ", shown):
                os.write(terminal, line.encode())
                sent = True
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
    return shown


def test_zsh_completes_commands_and_options_as_they_are_typed(share):
    assert "walship recover " in typed_into_zsh(share, "walship recov\t", "walship recover ")
    assert "--tablespace-map" in typed_into_zsh(share, "walship recover --tablesp\t", "--tablespace-map")


def test_what_is_not_there_is_a_usage_error():
    for arguments, says in ((["manual", "nothing"], "no manual page"), (["completion", "tcsh"], "bash, zsh and fish")):
        tried = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=20)
        assert tried.returncode == 2 and says in tried.stderr
