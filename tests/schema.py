# The schemas that `kvroof schema` prints beside the readers they describe. The readers are the program itself, started
# once (commands.cc).
#
# Whole files of ours must pass. Then entries are damaged one place at a time (an unknown key in every mapping, every key
# left out, every value replaced by what stands in EDGES): what the schema refuses the reader must refuse, so that an
# editor never marks a good file, and the reader's mistakes of form must be the schema's too.
import copy
import json
import os
import re
import subprocess
import sys

import jsonschema
import yaml

COMMANDS, ROOT = sys.argv[1:]
PROGRAM = subprocess.Popen([COMMANDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Core(yaml.SafeLoader):
    """YAML 1.2's core types, as editors read them: no dates, and `on` is a word."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
]:
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)


def keyed(value):
    """Keys are text, whatever they look like."""
    if isinstance(value, dict):
        return {str(key): keyed(inner) for key, inner in value.items()}
    return [keyed(inner) for inner in value] if isinstance(value, list) else value


def load(text):
    return keyed(yaml.load(text, Core))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def run(files, *arguments):
    """The program's exit code and words, with the files beside it."""
    PROGRAM.stdin.write(json.dumps({"files": files, "arguments": arguments}) + "\n")
    PROGRAM.stdin.flush()
    answer = json.loads(PROGRAM.stdout.readline())
    return answer["code"], answer["words"]


def schema_of(name):
    schema = json.loads(run({}, "schema", name)[1])
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


MODEL = """models:
  mine:
    name: Mine
    family: llama
    hidden: 4096
    vocab: 32000
    layers:
      - count: 32
        attention: {kind: full, q_heads: 32, kv_heads: 8, head_dim: 128}
        feed_forward: {kind: gated, width: 14336}
    source: me
    confidence: C
"""

DEVICE = """devices:
  mine:
    name: Mine
    vendor: me
    class: gpu
    peak: {bf16: 100 TFLOPS}
    memory:
      - {kind: HBM, capacity: 80 GiB, bandwidth: 3.35TB/s}
    achievable: {overlap: sum}
    source: me
    confidence: C
"""

SCHEMAS = {name: schema_of(name) for name in ["models", "hardware", "catalogue", "scenarios", "config"]}
failures = []


def complaints(name, document):
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:120]}" for e in SCHEMAS[name].iter_errors(document)]


def reader_of(name, text):
    """The reader's exit code and words on a file of that kind."""
    if name == "config":
        files = {"a.yaml": MODEL, "b.yaml": DEVICE, ".kvroof.yaml": text}
        return run(files, "estimate", "llama-3.1-8b", "h100-sxm", "--quiet")
    if name == "scenarios":
        if os.path.exists("baseline.json"):
            os.remove("baseline.json")
        code, words = run({"scenarios.yaml": text}, "check", "--update", "--quiet")
        # An answer that does not fit its budget is no mistake of form.
        return (0 if code == 1 else code), words
    section = text.partition(":")[0]
    shown = {"devices": "hardware", "engines": "engines"}.get(section, "models")
    return run({"mine.yaml": text}, shown, "mine", "--catalog", "mine.yaml")


def check(what, condition, detail=""):
    if not condition:
        failures.append(f"{what}\n    {detail}")


def both_accept(name, text):
    check(f"{name} schema refuses {text!r}", not complaints(name, load(text)), complaints(name, load(text))[:2])
    code, words = reader_of(name, text)
    check(f"{name} reader refuses {text!r}", code == 0, words[:300])


def both_refuse(name, text):
    check(f"{name} schema accepts {text!r}", complaints(name, load(text)))
    code, words = reader_of(name, text)
    check(f"{name} reader accepts {text!r}", code != 0, words[:300])


# ---- our own files -----------------------------------------------------------------------------------------
OURS = [("models", "models.yaml"), ("catalogue", "models.yaml"), ("hardware", "hardware.yaml"),
        ("catalogue", "hardware.yaml"), ("scenarios", "reports/scenarios.yaml"), ("scenarios", "docs/ci/scenarios.yaml"),
        ("models", "docs/ci/before.yaml"), ("models", "docs/ci/after.yaml")]
DOCUMENTS = {path: load(read(path)) for _, path in OURS}
for name, path in OURS:
    check(f"{path} against the {name} schema", not complaints(name, DOCUMENTS[path]), complaints(name, DOCUMENTS[path])[:3])
for name, path in [("models", "hardware.yaml"), ("hardware", "models.yaml"), ("scenarios", "models.yaml"),
                   ("models", "reports/scenarios.yaml"), ("config", "reports/scenarios.yaml")]:
    check(f"the {name} schema accepts {path}", complaints(name, DOCUMENTS[path]))

# ---- damaged one place at a time ---------------------------------------------------------------------------


def places(value, path=()):
    """Every value of a document with the path to it."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from places(child, path + (key,))


def at(document, path):
    for key in path:
        document = document[key]
    return document


# What stands in for each value in turn, as YAML has it.
EDGES = ["null", "true", "yes", "0", "-1", "1", "1.5", "1e3", "1e30", ".5", "5.", "'5'", "2 W", "'2 W'", "80 GiB", "3us",
         "1.5k", "0k", "20%", "150%", "4/s", "$3", "FP8", "fp8", "max", "full", "''", "x", "[]", "[x]", "{}", "{a: b}"]
HOLE = "@hole@"


def with_hole(entry, path):
    other = copy.deepcopy(entry)
    at(other, path[:-1])[path[-1]] = HOLE
    return json.dumps(other)


def damaged(entry):
    """The entry's text with one thing wrong, or one thing left out; a place takes every fourth of the edges."""
    for number, (path, value) in enumerate(places(entry)):
        if isinstance(value, dict):
            other = copy.deepcopy(entry)
            at(other, path)["nosuch"] = 1
            yield "unknown key", path, json.dumps(other)
        if not path:
            continue
        if isinstance(path[-1], str):
            other = copy.deepcopy(entry)
            del at(other, path[:-1])[path[-1]]
            yield "left out", path, json.dumps(other)
        holed = with_hole(entry, path)
        for edge in EDGES[number % 4::4]:
            yield edge, path, holed.replace(json.dumps(HOLE), edge)


# What the reader says of figures that are well-formed, but do not go together or are out of a range that depends on
# others. Anything else it refuses is a mistake of form, which the schema has to know.
OF_MEANING = re.compile(r"does not divide|is more than|must lie in|must be|expected \d+ to \d+|needs a bandwidth|is faster|"
                        r"names both|unknown (model|device|engine)|out of range|[kM]' is not a whole number|"
                        r"can't be opened|can't hold a request|is not .*=|give one of|equals --tp")
count = 0


def compare(place, document, refusal):
    """Holds the schema's verdict on a document against what the reader says of it; no words: it is taken."""
    global count
    count += 1
    name = place.partition(":")[0]
    refused = complaints(name, document)
    check(place + ": the schema refuses what the reader takes", refusal or not refused, refused[:2])
    check(place + ": the schema takes what the reader refuses",
          refused or not refusal or OF_MEANING.search(refusal), refusal[:300])


def written(path):
    return "/".join(map(str, path))


def compare_entries(name, section, entry):
    """All at once: an entry a line, so that the line of a complaint says whose it is."""
    entry = {key: value for key, value in entry.items() if key != "aliases"}  # names, each once in a catalogue
    cases = list(damaged(entry))
    text = f"{section}:\n" + "".join(f"  m{i}: {other}\n" for i, (_, _, other) in enumerate(cases))
    refusals = {}
    for words in re.split(r"^(?=mine\.yaml:)", run({"mine.yaml": text}, "models", "lint", "--catalog", "mine.yaml")[1],
                          flags=re.M):
        if line := re.match(r"mine\.yaml:(\d+)", words):
            refusals.setdefault(int(line[1]) - 2, words)
    check(f"{name}: the reader has something to say", refusals)
    for i, (what, path, other) in enumerate(cases):
        compare(f"{name}: {what} at {written(path)}", {section: {"mine": load(other)}}, refusals.get(i, ""))


def entry(path, section, id):
    return DOCUMENTS[path][section][id]


for id in ["deepseek-v3.2", "qwen3-next-80b-a3b", "gpt-oss-120b"]:
    compare_entries("models", "models", entry("models.yaml", "models", id))
compare_entries("hardware", "devices", entry("hardware.yaml", "devices", "h100-sxm"))
for id in ["vllm", "llamacpp"]:
    compare_entries("hardware", "engines", entry("hardware.yaml", "engines", id))

SCENARIOS = load(read("docs/ci/scenarios.yaml"))
for scenario in SCENARIOS["scenarios"]:
    scenario["model"] = "llama-3.1-8b"  # the made-up one is in another file
OPTIONS = {"tp": 2, "engine": "vllm", "kv-dtype": "fp8", "prefix-caching": True, "kv-room": "40GiB", "input": "1k",
           "rate": "4/s", "cache-hit": "20%", "hardware-override": ["bandwidth=4TB/s"], "memory-fraction": 0.9}
SCENARIOS["scenarios"][1].update(OPTIONS)
SCENARIOS["scenarios"][1]["budgets"] = {"throughput": "> 1", "kv_room": ">= 1GB"}
SCENARIOS["scenarios"][1]["tolerances"] = {"fits": {"error": "10%", "direction": "higher"}, "cost": "2%", "ttft": "5ms"}
for what, path, other in damaged(SCENARIOS):
    code, words = reader_of("scenarios", other + "\n")
    compare(f"scenarios: {what} at {written(path)}", load(other), words if code else "")

OPTIONS.pop("hardware-override")
for what, path, other in damaged({"estimate": OPTIONS | {"batch": "8,16", "format": "json", "color": "never"}}):
    code, words = reader_of("config", other + "\n")
    compare(f"config: {what} at {written(path)}", load(other), words if code else "")

# ---- by hand: words and units ------------------------------------------------------------------------------
both_accept("models", MODEL)
for old, new in [("confidence: C", "confidence: E"), ("kind: full", "kind: fulll"), ("kind: full", "kind: sliding"),
                 ("kind: gated", "kind: none"), ("hidden: 4096", "hidden: 4096.5"), ("hidden: 4096", "hidden: 4k"),
                 ("vocab: 32000", "vocab: 32000\n    weights: fp9"), ("    family: llama\n", ""),
                 ("vocab: 32000", "vocab: 32000\n    weights: {linears: fp8, expert: fp8}"),
                 ("vocab: 32000", "vocab: 32000\n    tied_embeddings: yes"), ("models:", "modells:")]:
    both_refuse("models", MODEL.replace(old, new))
for old, new in [("vocab: 32000", "vocab: 32000\n    weights: float16"), ("name: Mine", "name: 7"),
                 ("vocab: 32000", "vocab: 32000\n    weights: {linears: fp8, experts: q4_k_m, embeddings: bf16}"),
                 ("kind: gated, width: 14336", "kind: moe, experts: 8, top_k: 2, width: 14336, gated: false"),
                 ("feed_forward: {kind: gated, width: 14336}", "feed_forward: {kind: none}")]:
    both_accept("models", MODEL.replace(old, new))

both_accept("hardware", DEVICE)
for old, new in [("80 GiB", "80"), ("80 GiB", "80 GiB/s"), ("3.35TB/s", "fast"), ("100 TFLOPS", "100"), ("bf16:", "bf17:"),
                 ("overlap: sum", "overlap: some"), ("overlap: sum", "basis: guess"),
                 ("overlap: sum", "linears: {bf16: {launch: 3 us}}"), ("memory:", "memoryy:")]:
    both_refuse("hardware", DEVICE.replace(old, new))
for old, new in [("80 GiB", "8e10B"), ("3.35TB/s", ".5 PB/s"), ("100 TFLOPS", "0.1 PFLOPS"), ("overlap: sum", "overlap: 0.5"),
                 ("overlap: sum", "all_reduce: {2: 3 us}"), ("class: gpu", "class: gpu\n    power: 300 W"),
                 ("class: gpu", "class: gpu\n    power: 300")]:
    both_accept("hardware", DEVICE.replace(old, new))

SCENARIO = """tolerances: {tpot: 2%}
scenarios:
  - name: one
    model: llama-3.1-8b
    hardware: h100-sxm
    context: 8k
    budgets: {fits: 4 sequences, tpot: < 300ms}
"""
both_accept("scenarios", SCENARIO)
for old, new in [("tpot: 2%", "tpott: 2%"), ("tpot: 2%", "tpot: 2"), ("tpot: 2%", "tpot: {wran: 2%}"),
                 ("tpot: 2%", "tpot: {direction: up}"), ("context: 8k", "contxt: 8k"), ("context: 8k", "context: 8kk"),
                 ("context: 8k", "context: -8"), ("context: 8k", "kv-dtype: fp9"), ("context: 8k", "prefix-caching: maybe"),
                 ("context: 8k", "context: [8k]"), ("context: 8k", "kv-room: 40"), ("< 300ms", "< 300"), ("< 300ms", "300"),
                 ("    hardware: h100-sxm\n", ""), ("scenarios:", "scenario:"), ("4 sequences", "four")]:
    both_refuse("scenarios", SCENARIO.replace(old, new, 1))
for old, new in [("tpot: 2%", "tpot: {warn: 1%, error: -5ms}"), ("tpot: 2%", "fits: -1"), ("tpot: 2%", "kv_token: exact"),
                 ("tpot: 2%", "fits: {error: 10%, direction: higher}"), ("context: 8k", "context: 8192"),
                 ("context: 8k", "kv-dtype: fp8_e4m3"), ("context: 8k", "hardware-override: [bandwidth=4TB/s]"),
                 ("context: 8k", "hardware-override: bandwidth=4TB/s"), ("context: 8k", "prefix-caching: true"),
                 ("context: 8k", "kv-room: 40GiB"), ("context: 8k", "input: 1k\n    rate: 4/s\n    cache-hit: 20%"),
                 ("4 sequences", "'>= 4'"), ("4 sequences", "4"), ("fits: 4 sequences", "kv_room: 1GB")]:
    both_accept("scenarios", SCENARIO.replace(old, new, 1))

CONFIG = "engine: vllm\nestimate: {context: 8k}\n"
both_accept("config", CONFIG)
for text in ["engin: vllm\n", "estimate: {contxt: 8k}\n", "color: blue\n", "check: {format: xml}\n", "format: junit\n",
             "engine: {a: b}\n", "- engine\n"]:
    both_refuse("config", text)
for text in ["color: never\n", "check: {format: junit}\n", "catalog: [a.yaml, b.yaml]\n", "catalog: a.yaml\n", "tp: 4\n",
             "kv-dtype: fp8\n", "sweep: {context: 8k..32k*2}\n", "format: json\n"]:
    both_accept("config", text)

if failures:
    sys.exit("\n".join(failures[:20]) + f"\nschema: {len(failures)} failures")
print(f"5 schemas, {len(OURS)} files of ours, {count} damaged entries, words and units: ok")
