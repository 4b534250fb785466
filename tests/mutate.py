#!/usr/bin/env python3
"""Mutation testing of src/core: does a test notice when a formula is wrong?

Each mutant is one token of one source file changed: an operator of arithmetic or comparison, a constant, the smaller for
the larger. Nearly all of them are built at once, into one program that is told which of them is alive (tests/mutants.h);
what can't be said that way (&& and ||, constants the compiler must know) is compiled one by one. Every test case that takes
less than 20 seconds is run alone once, to see which mutants it meets; a mutant is then shown to those that meet it, the
quick ones first, until one fails. One that fails a test, crashes or runs for ever is killed. One that survives is
equivalent (it can't change an answer; tests/equivalent_mutants.txt says why, one a line) or shows a test that is missing.

  tests/mutate.py                        all of them
  tests/mutate.py --sample 200 --seed 3  so many, drawn at random
  tests/mutate.py --file memory.cc       of one file
  tests/mutate.py --shown FILE           survivors into FILE, as tests/equivalent_mutants.txt wants them
  tests/mutate.py --again FILE           those of such a file alone

Exit code 0: at least 95 % of those that are not equivalent were killed; 1: fewer; 2: it could not be tried.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
BUILD = HERE / "build/mutants"  # each file alone: `./dev mutate` makes it
CORE = HERE / "src/core"
CASE_SECONDS = 20  # a test case that takes longer has no part in it
SPECS = "1500"    # of the random ones, a question
NO_MEANING = 77

# What is looked for, what stands there instead, and what tests/mutants.h calls the change. Binary operators have spaces
# around them (clang-format sees to it).
OPERATORS = [
    ("+", ["-"], "Plus"), ("-", ["+"], "Minus"), ("*", ["/"], "Times"), ("/", ["*"], "Over"), ("%", ["/"], "Modulo"),
    ("+=", ["-="], "PlusInto"), ("-=", ["+="], "MinusInto"), ("*=", ["/="], "TimesInto"), ("/=", ["*="], "OverInto"),
    ("<", ["<=", ">="], "Less"), ("<=", ["<", ">"], "AtMost"), (">", [">=", "<="], "More"), (">=", [">", "<"], "AtLeast"),
    ("==", ["!="], "Equal"), ("!=", ["=="], "Unequal"), ("&&", ["||"], None), ("||", ["&&"], None),
]
FUNCTIONS = [
    ("std::min", "std::max", "least"), ("std::max", "std::min", "most"), ("std::ceil", "std::floor", "up"),
    ("std::floor", "std::ceil", "down"), ("larger", "smaller", "the_larger"), ("smaller", "larger", "the_smaller"),
    ("ceil_div", "round_up", "pieces"),
]
NUMBER = r"(?<!\de-)(?<![\w.\]'])\d+(?![\w.'])|(?<![\w.])\d+\.\d+(?![\w.])|\btrue\b|\bfalse\b"


def give_up(why):
    print(f"mutate: {why}", file=sys.stderr)
    sys.exit(2)


def blanked(text):
    """The text with comments, strings and preprocessor lines blanked, every character at its place."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|^#[^\n]*|static_assert[^;]*;|template <[^>]*>', blank, text,
                  flags=re.S | re.M)


def other_number(text):
    if text in ("true", "false"):
        return "false" if text == "true" else "true"
    return str(int(text) + 1) if "." not in text else repr(float(text) * 2 if float(text) else 1.0)


@dataclasses.dataclass
class Site:
    """A token and what may stand there instead; `built` gives the words of tests/mutants.h that can be either."""
    path: pathlib.Path
    text: str
    begin: int
    end: int
    line: int
    others: list
    built: object  # number of the first mutant -> text; None: must be compiled alone
    first: int = 0


def sites_of(path):
    text = path.read_text()
    code = blanked(text)

    def site(begin, end, others, built):
        return Site(path, text, begin, end, text.count("\n", 0, begin) + 1, others, built)

    for op, others, name in OPERATORS:
        for m in re.finditer(" " + re.escape(op) + " ", code):
            built = name and (lambda n, op=op, name=name: f" {op} ::mutants::{name}<{n}>{{}} {op} ")
            yield site(m.start(), m.end(), [f" {o} " for o in others], built)
    for name, other, word in FUNCTIONS:
        for m in re.finditer(r"(?<![\w:])" + re.escape(name) + r"(<\w+>)?(?=\()", code):
            kind = m.group(1) or ""
            built = lambda n, kind=kind, word=word: f"::mutants::{word}<{n}{kind and ', ' + kind[1:-1]}>"
            yield site(m.start(), m.end(), [other + kind], built)
    for m in re.finditer(NUMBER, code):
        built = lambda n, word=m.group(): f"::mutants::number<{n}>({word})"
        yield site(m.start(), m.end(), [other_number(m.group())], built)


def described(site, other):
    text = site.text
    begin = text.rfind("\n", 0, site.begin) + 1
    end = text.find("\n", site.begin)
    after = text[begin:site.begin] + other + text[site.end:end]
    return f"{site.path.name}: {text[begin:end].strip()}  =>  {after.strip()}"


def all_at_once(text, sites):
    """The source with every site replaced by words that can be either. What the compiler knew it must now be told."""
    for s in sorted(sites, key=lambda s: -s.begin):
        text = text[:s.begin] + s.built(s.first) + text[s.end:]
    return re.sub(r"\bconstexpr (?=[\w:<> ]+ \w+(\[\w*\])? = |double \w+\[\])", "const ", text)


def compile_command(path):
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        if entry["file"] == str(path) and "core_bare" not in entry["command"]:
            words = entry["command"].split()
            while words and words[0].endswith("ccache"):
                words.pop(0)
            return [w for w in words[:words.index("-o")] if w not in ("-Werror", "-O2", "-c")] + ["-O1", "-w"]
    give_up(f"{path.name} is not in {BUILD}/compile_commands.json: build first")


def compiled(path, text, folder, extra=()):
    """The object of a changed source, or None and what the compiler said."""
    source, object_ = folder / path.name, folder / (path.stem + ".o")
    source.write_text(text)
    command = [w for w in compile_command(path) if w != str(path)] + [*extra, "-c", str(source), "-o", str(object_)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=BUILD)
    return (object_ if run.returncode == 0 else None), run.stderr


def built_at_once(path, sites, folder):
    """The object with all mutants of a file that can live in one program; those that can't lose their `built`."""
    for _ in range(20):
        together = [s for s in sites if s.built]
        object_, said = compiled(path, all_at_once(path.read_text(), together), folder,
                                 ["-Wno-narrowing", "-include", str(HERE / "tests/mutants.h")])
        if object_:
            return object_
        lines = {int(n) for n in re.findall(re.escape(path.name) + r":(\d+):\d+:", said)}
        guilty = [s for s in together if s.line in lines]
        if not guilty:
            break
        for s in guilty:
            s.built = None
    give_up(f"{path.name} with all its mutants does not compile:\n{said[-3000:]}")


def linked(objects, out):
    """A program's own link command, with changed objects before the libraries they stand in."""
    target = "tests/kvroof_tests" if out.name == "tests" else "kvroof"
    commands = subprocess.run(["ninja", "-C", str(BUILD), "-t", "commands", target], capture_output=True, text=True,
                              check=True).stdout.splitlines()
    words = [w for w in commands[-1].split() if w not in ("&&", ":")]
    at = words.index("-o")
    words = words[:at] + ["-o", str(out)] + words[at + 2:]
    first_library = next(i for i, w in enumerate(words) if w.endswith(".a"))
    words = words[:first_library] + [str(o) for o in objects] + words[first_library:]
    run = subprocess.run(words, capture_output=True, text=True, cwd=BUILD)
    return run.returncode == 0, run.stderr


def both_linked(objects, folder):
    """The tests and the program that some of them run."""
    done, said = linked(objects, folder / "tests")
    return linked(objects, folder / "kvroof") if done else (done, said)


class Tests:
    """Test cases of a program with all mutants in it: how long each takes, and which mutants it meets."""

    def __init__(self, program):
        self.program = program
        listed = subprocess.run([str(program), "--list-test-names-only"], capture_output=True, text=True).stdout
        self.cases = [line for line in listed.splitlines() if line.strip()]
        self.seconds, self.met, self.failing = {}, {}, []

    def run(self, case, timeout, program=None, **environment):
        name = re.sub(r"^-+", "*", re.sub(r"([,\[\]\\*\"])", r"\\\1", case))  # a leading dash is an option
        program = program or self.program
        with tempfile.TemporaryDirectory() as home:
            no_meaning = pathlib.Path(home, "no-meaning")
            environment |= {"RANDOM_SPECS": SPECS, "PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home,
                            "PROGRAM_UNDER_TEST": str(program.parent / "kvroof"), "MUTANT_HAS_NO_MEANING": str(no_meaning)}
            with subprocess.Popen([str(program), "--abort", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  cwd=home, env=environment, start_new_session=True) as run:
                try:
                    code = run.wait(timeout)
                except subprocess.TimeoutExpired:
                    os.killpg(run.pid, signal.SIGKILL)  # with what a test has started
                    code = -1
            return NO_MEANING if no_meaning.exists() else code

    def look(self, case, folder):
        reached = folder / f"reached-{self.cases.index(case)}"
        begun = time.time()
        code = self.run(case, CASE_SECONDS, MUTANTS_MET=str(reached))
        if code == 0:
            self.seconds[case] = time.time() - begun
            self.met[case] = {int(n) for n in reached.read_text().split()}
        elif code == -1:
            print(f"takes too long: {case}")
        else:
            self.failing.append(case)

    def in_order(self, mutant=None):
        return [c for c in sorted(self.seconds, key=self.seconds.get) if mutant is None or mutant in self.met[c]]

    def verdict(self, cases, program=None, **environment):
        for case in cases:
            code = self.run(case, 10 * self.seconds[case] + 5, program, **environment)
            if code == NO_MEANING:
                return "has no meaning"
            if code != 0:
                return "killed"
        return "survived"


def alone(tests, site, other, near, folder):
    """The verdict on a mutant that is compiled by itself; `near` are the test cases that come by its place."""
    text = site.text
    with tempfile.TemporaryDirectory(dir=folder) as name:
        object_, _ = compiled(site.path, text[:site.begin] + other + text[site.end:], pathlib.Path(name))
        program = pathlib.Path(name) / "tests"
        if not object_ or not both_linked([object_], program.parent)[0]:
            return "has no meaning"
        return tests.verdict(near, program)


def known_equivalent():
    lines = (HERE / "tests/equivalent_mutants.txt").read_text().splitlines()
    return {line.split("  ::  ")[0] for line in lines if line and not line.startswith("#")}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sample", type=int, default=0, help="how many; 0: all")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--file", help="of this file alone, such as memory.cc")
    arguments.add_argument("--shown", help="a file for the survivors")
    arguments.add_argument("--again", help="a file of mutants: only those")
    o = arguments.parse_args()
    again = set(pathlib.Path(o.again).read_text().splitlines()) if o.again else None
    begun, equivalent = time.time(), known_equivalent()
    files = sorted(CORE.glob("*.cc"))
    sites = {path: list(sites_of(path)) for path in files}
    number = 1
    for path in files:
        for s in sites[path]:
            s.first, number = number, number + len(s.others)
    counts = dict.fromkeys(["killed", "survived", "equivalent", "has no meaning"], 0)
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = pathlib.Path(name)
        objects = list(pool.map(lambda path: built_at_once(path, sites[path], folder), files))
        done, said = both_linked(objects, folder)
        if not done:
            give_up(f"the tests do not link:\n{said[-3000:]}")
        tests = Tests(folder / "tests")
        list(pool.map(lambda case: tests.look(case, folder), tests.cases))
        if tests.failing:
            give_up("fail with no mutant alive: " + "; ".join(tests.failing))
        print(f"{number - 1} mutants; {len(tests.seconds)} of {len(tests.cases)} test cases take part, "
              f"{sum(tests.seconds.values()):.0f} s; ready after {time.time() - begun:.0f} s", flush=True)

        def judged(mutant):
            site, i = mutant
            words = described(site, site.others[i])
            if words in equivalent:
                return site, words, "equivalent"
            if site.built:
                return site, words, tests.verdict(tests.in_order(site.first + i), MUTANT=str(site.first + i))
            beside = [s.first for s in sites[site.path] if s.built and abs(s.line - site.line) <= 3]
            near = [c for c in tests.in_order() if not beside or any(b in tests.met[c] for b in beside)]
            return site, words, alone(tests, site, site.others[i], near, folder)

        drawn = [(s, i) for path in files for s in sites[path] for i in range(len(s.others))
                 if (not o.file or path.name == o.file) and (not again or described(s, s.others[i]) in again)]
        random.Random(o.seed).shuffle(drawn)
        survivors = []
        for done, (site, words, result) in enumerate(pool.map(judged, drawn[:o.sample] if o.sample else drawn), 1):
            counts[result] += 1
            if done % 100 == 0:
                print(f"{done} tried, {counts['survived']} survived", file=sys.stderr, flush=True)
            if result == "survived":
                survivors.append((site.path.name, site.line, words))
                print(f"survived  {site.path.name}:{site.line}  {words}", flush=True)
    if o.shown:
        pathlib.Path(o.shown).write_text("".join(f"{words}\n" for _, _, words in sorted(survivors)))
    tried = counts["killed"] + counts["survived"]
    share = counts["killed"] / tried if tried else 1
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    print(f"killed {100 * share:.1f} % in {time.time() - begun:.0f} s")
    return 0 if share >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
