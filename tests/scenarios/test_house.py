"""The shape of the source: who includes whom, and what has no place in it."""

import pathlib
import re
import subprocess
import warnings

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = {
    "core": {"core"},
    "bayes": {"core", "bayes"},
    "rules": {"core", "rules"},
    "quarantine": {"core", "quarantine"},
    "reports": {"core", "reports"},
    "filters": {"core", "bayes", "rules", "filters"},
    "gateway": {"core", "bayes", "rules", "quarantine", "reports", "filters", "gateway"},
    "tests": {"core", "bayes", "rules", "quarantine", "reports", "filters", "gateway", "tests"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
FUNCTION_LINES, FILE_LINES = 80, 900


def sources(*suffixes):
    """Files that belong to the project: git knows them."""
    try:
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                                capture_output=True, text=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        listed = [str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return [ROOT / name for name in listed
            if name.endswith(suffixes) and (ROOT / name).is_file() and "/seeds/" not in name]


C_FILES = sources(".c", ".h")


def includes():
    for path in C_FILES:
        for name in INCLUDE.findall(path.read_text()):
            yield path.relative_to(ROOT), name


def test_direction_of_includes():
    wrong = [f"{path} includes {name}" for path, name in includes()
             if path.parts[0] in FOLDERS and name.split("/")[0] not in FOLDERS[path.parts[0]]]
    assert not wrong, "\n".join(wrong)


def test_includes_are_path_qualified():
    wrong = [f"{path} includes {name}" for path, name in includes()
             if "/" not in name or not (ROOT / name).exists()]
    # a file that the build generates is named by its folder too
    assert not [line for line in wrong if "generated" not in line], "\n".join(wrong)


def part_of(path):
    """filters/spf.c, filters/spf/x.c → spf; gateway/front/x.c → front; else None."""
    if len(path.parts) > 2:
        return path.parts[1]
    return path.stem


@pytest.mark.parametrize("folder, shared", [
    ("filters", {"evaluate", "engine", "registry"}),
    ("gateway", {"judge"}),  # its commands do in one process what the roles do
])
def test_parts_do_not_include_each_other(folder, shared):
    """A filter includes no other filter, a role no other role."""
    wrong = []
    for path, name in includes():
        target = name.split("/")
        if path.parts[0] != folder or target[0] != folder:
            continue
        part = part_of(path)
        if len(target) > 2 and target[1] != part and part not in shared:
            wrong.append(f"{path} includes {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("pattern, why", [
    (r"\b(?:TODO|FIXME|XXX|HACK)\b", "unfinished work is not in the source"),
    (r"(?<![.\w/])/work/", "a path of one machine"),
    (r"\btypedef\s+(?:struct|enum|union)\s*\w*\s*\{", "structs have no typedef"),
    (r"//", "comments are /* */"),
])
def test_nothing_of_this(pattern, why):
    found = []
    for path in C_FILES:
        text = path.read_text()
        if pattern == r"//":
            text = re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/', '""', text, flags=re.S)
        for match in re.finditer(pattern, text):
            found.append(f"{path.relative_to(ROOT)}:{text[:match.start()].count(chr(10)) + 1}")
    assert not found, f"{why}:\n" + "\n".join(found)


def test_headers_guard_themselves():
    wrong = []
    for path in C_FILES:
        if path.suffix == ".h":
            guard = re.sub(r"[^A-Z0-9]", "_", str(path.relative_to(ROOT)).upper())
            if f"#ifndef {guard}\n#define {guard}\n" not in path.read_text():
                wrong.append(str(path.relative_to(ROOT)))
    assert not wrong, "\n".join(wrong)


def functions(text):
    """(name, lines) by the layout: a definition ends with } in the first column."""
    for match in re.finditer(r"^(?!struct|enum|union|static const|const|typedef|#)[^\n{};]*?(\w+)\([^;{}]*\)\n\{\n(.*?)^\}",
                             text, re.M | re.S):
        yield match.group(1), match.group(2).count("\n")


def test_sizes():
    """Long functions and files are named, not refused: a plain table may be long."""
    for path in C_FILES:
        text = path.read_text()
        if text.count("\n") > FILE_LINES:
            warnings.warn(f"{path.relative_to(ROOT)} has {text.count(chr(10))} lines")
        for name, lines in functions(text):
            if lines > FUNCTION_LINES:
                warnings.warn(f"{path.relative_to(ROOT)}: {name}() has {lines} lines")


def test_shell_scripts_are_plain_sh():
    for name in ("start", "check", ".ci/run", "tests/packages.sh", "gateway/man/print"):
        done = subprocess.run(["sh", "-n", str(ROOT / name)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
