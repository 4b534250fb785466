#!/usr/bin/env python3
"""Mutation testing of src/core: does a test notice when a formula is wrong?

Each mutant is one token of one source file changed: an operator of arithmetic or comparison, a constant, the smaller for
the larger. Its file alone is compiled and linked, before the core it replaces, with the test objects of a build of its own
that need no other program; their tests run until the first one fails. A mutant that fails a test, crashes or runs for
ever is killed. One that survives is equivalent (it can't change an answer; tests/equivalent_mutants.txt says why, one a
line) or shows a test that is missing.

  tests/mutate.py                     200 mutants drawn at random
  tests/mutate.py --sample 50 --seed 3 --file memory.cc
  tests/mutate.py --sample 0          all of them: hours

Exit code 0: at least 95 % of those that are not equivalent were killed; 1: fewer; 2: it could not be tried.
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
BUILD = HERE / "build/mutants"  # each file alone: `./dev mutate` makes it
CORE = HERE / "src/core"
TESTS = ("differential properties limits allocation cache experts kernel laws parameters plan serving speculation step "
         "sweep training units").split()
FAST = "[differential],[property]"
SECONDS = 120  # a mutant that takes longer never ends

# What is looked for, and what stands there instead. Binary operators have spaces around them (clang-format sees to it).
RULES = [
    (r" \+ ", [" - "]), (r" - ", [" + "]), (r" \* ", [" / "]), (r" / ", [" * "]), (r" % ", [" / "]),
    (r" \+= ", [" -= "]), (r" -= ", [" += "]), (r" \*= ", [" /= "]), (r" /= ", [" *= "]),
    (r" < ", [" <= ", " >= "]), (r" <= ", [" < ", " > "]), (r" > ", [" >= ", " <= "]), (r" >= ", [" > ", " < "]),
    (r" == ", [" != "]), (r" != ", [" == "]), (r" && ", [" || "]), (r" \|\| ", [" && "]),
    (r"\bstd::min\b", ["std::max"]), (r"\bstd::max\b", ["std::min"]), (r"\blarger\(", ["smaller("]),
    (r"\bsmaller\(", ["larger("]), (r"\bstd::ceil\(", ["std::floor("]), (r"\bstd::floor\(", ["std::ceil("]),
    (r"\bceil_div\(", ["round_up("]), (r"\btrue\b", ["false"]), (r"\bfalse\b", ["true"]),
    (r"(?<![\w.\]'])\d+(?![\w.'])", ["+1"]), (r"(?<![\w.])\d+\.\d+(?![\w.])", ["*2"]),
]


def blanked(text):
    """The text with comments, strings and preprocessor lines blanked, every character at its place."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|^#[^\n]*|static_assert[^;]*;|template <[^>]*>', blank, text,
                  flags=re.S | re.M)


def other_number(text, how):
    return str(int(text) + 1) if how == "+1" else repr(float(text) * 2 if float(text) else 1.0)


def mutants_of(path):
    text = path.read_text()
    code = blanked(text)
    for pattern, others in RULES:
        for m in re.finditer(pattern, code):
            for other in others:
                new = other_number(m.group(), other) if other in ("+1", "*2") else other
                yield {"file": path.name, "begin": m.start(), "end": m.end(), "new": new,
                       "line": text.count("\n", 0, m.start()) + 1}


def described(mutant, text):
    begin = text.rfind("\n", 0, mutant["begin"]) + 1
    end = text.find("\n", mutant["begin"])
    before = text[begin:end].strip()
    after = (text[begin:mutant["begin"]] + mutant["new"] + text[mutant["end"]:end]).strip()
    return f"{mutant['file']}: {before}  =>  {after}"


def compile_command(path):
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        if entry["file"] == str(path) and "core_bare" not in entry["command"]:
            words = entry["command"].split()
            while words and words[0].endswith("ccache"):
                words.pop(0)
            return [w for w in words[:words.index("-o")] if w not in ("-Werror", "-O2")] + ["-O1", "-w"]
    sys.exit(f"mutate: {path.name} is not in {BUILD}/compile_commands.json: build first")


def linked_with(mutated, out):
    """The tests' own link command, with the mutant's object before the libraries."""
    commands = subprocess.run(["ninja", "-C", str(BUILD), "-t", "commands", "tests/kvroof_tests"], capture_output=True,
                              text=True, check=True).stdout.splitlines()
    words = commands[-1].split()
    libraries = [w for w in words[words.index("-o") + 2:] if w not in ("&&", ":")]
    objects = [f"tests/CMakeFiles/kvroof_tests.dir/{t}_test.cc.o" for t in TESTS]
    objects += ["tests/CMakeFiles/kvroof_tests.dir/random_spec.cc.o", "tests/CMakeFiles/test_main.dir/main.cc.o"]
    return ["g++", "-fuse-ld=gold", "-pie", "-o", str(out)] + objects + mutated + libraries


def passes(program):
    """Whether all tests pass, the quick and searching ones first."""
    for which in ([FAST], ["~[differential]~[property]"]):
        try:
            run = subprocess.run([str(program), "--abort"] + which, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 timeout=SECONDS, env={"KVROOF_SPECS": "1500", "PATH": "/usr/bin:/bin"})
        except subprocess.TimeoutExpired:
            return False
        if run.returncode != 0:
            return False
    return True


def verdict(mutant, folder):
    path = CORE / mutant["file"]
    text = path.read_text()
    source, object_, program = folder / mutant["file"], folder / "mutant.o", folder / "tests"
    source.write_text(text[:mutant["begin"]] + mutant["new"] + text[mutant["end"]:])
    command = [w if w != str(path) else str(source) for w in compile_command(path)]
    command = [w for w in command if w != "-c"] + ["-c", str(source), "-o", str(object_)]
    if subprocess.run(command, capture_output=True, cwd=BUILD).returncode != 0:
        return "does not compile"
    if subprocess.run(linked_with([str(object_)], program), capture_output=True, cwd=BUILD).returncode != 0:
        return "does not compile"
    return "survived" if passes(program) else "killed"


def known_equivalent():
    path = HERE / "tests/equivalent_mutants.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line.split("  ::  ")[0] for line in lines if line and not line.startswith("#")}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sample", type=int, default=200, help="how many; 0: all")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--file", help="of this file alone, such as memory.cc")
    arguments.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    o = arguments.parse_args()
    files = sorted(CORE.glob("*.cc")) if not o.file else [CORE / o.file]
    everything = [m for path in files for m in mutants_of(path)]
    drawn = list(everything)
    random.Random(o.seed).shuffle(drawn)
    if o.sample:
        drawn = drawn[:o.sample]
    equivalent, begun = known_equivalent(), time.time()
    counts, survivors = {"killed": 0, "survived": 0, "equivalent": 0, "does not compile": 0}, []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        unchanged = folder / "unchanged"
        build = subprocess.run(linked_with([], unchanged), capture_output=True, text=True, cwd=BUILD)
        if build.returncode != 0 or not passes(unchanged):
            print("mutate: the tests do not build or pass as they are", build.stderr[-2000:], file=sys.stderr)
            return 2
        for i, mutant in enumerate(drawn):
            if time.time() - begun > o.seconds:
                break
            words = described(mutant, (CORE / mutant["file"]).read_text())
            result = "equivalent" if words in equivalent else verdict(mutant, folder)
            counts[result] += 1
            if result == "survived":
                survivors.append(words)
                print(f"survived  {mutant['file']}:{mutant['line']}  {words}", flush=True)
    tried = counts["killed"] + counts["survived"]
    share = counts["killed"] / tried if tried else 1
    print(f"{len(everything)} mutants in all; drawn {sum(counts.values())}: {counts['killed']} killed, "
          f"{counts['survived']} survived, {counts['equivalent']} equivalent, {counts['does not compile']} do not compile")
    print(f"killed {100 * share:.1f} % in {time.time() - begun:.0f} s")
    return 0 if share >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
