"""What the documents say exists: commands, options, exit codes, settings.  Links: test/check/links."""
import functools
import re
from pathlib import Path

import pytest

from walship_testing.proc import run_ok
from walship_testing.walship import binary

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
EXIT_CODES = [*range(10), 200]  # the contract
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def every_document(function):
    return pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))(function)


@functools.cache
def help_of(*words):
    return run_ok([binary(), *words, "--help"]).out


def options_in(text):
    return set(re.findall(r"--[a-z][a-z-]*", text))


@pytest.fixture(scope="module")
def commands():
    """As walship itself lists them."""
    section = help_of().split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  ([a-z]+) ", section, re.MULTILINE)


def test_every_command_is_in_readme_and_operations(commands):
    for document in (ROOT / "README.md", ROOT / "docs/operations.md"):
        text = document.read_text()
        missing = [command for command in commands if not re.search(rf"\bwalship {command}\b", text)]
        assert not missing, document.name


@every_document
def test_commands_in_the_documents_exist(document, commands):
    said = re.findall(r"(?:^|[$&|] |-- |'|bin/)walship ([a-z]+)\b", code_of(document), re.MULTILINE)
    for hidden in set(said) - set(commands):
        assert help_of(hidden).startswith(f"walship {hidden}: "), "only walship itself calls it"


def code_of(document):
    """Fenced blocks and code spans: what a reader would type."""
    text = document.read_text()
    blocks = re.findall(r"^ *```[a-z]*\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    return "\n".join([*blocks, *spans])


@every_document
def test_options_in_the_documents_exist(document, commands):
    known = {command: options_in(help_of(command)) | options_in(help_of()) for command in commands}
    everything = set().union(*known.values())
    code = code_of(document).replace("\\\n", " ")
    for command, arguments in re.findall(r"walship ([a-z]+)((?: [^\n|&;)]*)?)", code):
        if command in known:
            assert options_in(arguments) <= known[command], f"walship {command}{arguments}"

    # An option that stands alone is walship's, in the documents that speak of nothing else.
    if document.name in ("README.md", "configuration.md"):
        alone = [span for span in re.findall(r"`(--[^`\n]+)`", document.read_text())]
        assert options_in(" ".join(alone)) <= everything | {"--name"}


def test_every_exit_code_of_the_contract_is_in_the_table():
    section = (ROOT / "docs/operations.md").read_text().split("\n## Exit codes\n")[1]
    rows = re.findall(r"^\| (\d+) \|", section, re.MULTILINE)
    assert sorted(map(int, rows)) == EXIT_CODES


def test_every_exit_code_of_the_source_is_in_the_contract():
    source = (ROOT / "src/command/command.c").read_text()
    said = {int(code) for code in re.findall(r"\[ERR_[A-Z_]+\] = (\d+)", source)}
    for path in (ROOT / "src/command").glob("*.c"):
        said |= {int(code) for code in re.findall(r"#define (?:STATUS|EXIT)_[A-Z_]+ +(\d+)", path.read_text())}
    assert said and said <= set(EXIT_CODES)


def test_every_setting_of_the_documents_is_one(commands):
    known = set(re.findall(r"^SETTING\((\w+),", (ROOT / "include/walship/settings.def").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        for block in re.findall(r"^ *```\n(.*?)^ *```$", document.read_text(), re.DOTALL | re.MULTILINE):
            if "store = " in block and "_command" not in block:
                assert set(re.findall(r"^ *([a-z_]+) = ", block, re.MULTILINE)) <= known, document.name


def test_the_sample_is_one_that_a_server_accepts(servers):
    server = servers.new()
    (server.pgdata / "sample.conf").write_text((ROOT / "postgresql.conf.sample").read_text())
    with open(server.pgdata / "postgresql.conf", "a") as main:
        main.write("\ninclude 'sample.conf'\n")
    server.configure(archive_mode=None, wal_level=None, max_wal_senders=None)
    server.start()
    assert server.value("SHOW archive_mode") == "on"
    assert server.value("SHOW archive_command") == "/usr/local/bin/walship push %p"
    assert server.sql("SELECT name FROM pg_file_settings WHERE error IS NOT NULL") == []
