# The schemas that `kvroof schema` prints beside the readers they describe. The readers are the program itself.
#
# Whole files of ours must pass. Then entries are damaged one place at a time (an unknown key in every mapping, every key
# left out, every value replaced by one of another type): what the schema refuses the reader must refuse, so that an
# editor never marks a good file, and the reader's mistakes of form must be the schema's too.
import copy
import json
import os
import re
import subprocess
import sys

import jsonschema
import yaml

KVROOF, ROOT = sys.argv[1:]


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


def schema_of(name):
    schema = json.loads(subprocess.run([KVROOF, "schema", name], check=True, capture_output=True).stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


SCHEMAS = {name: schema_of(name) for name in ["models", "hardware", "catalogue", "scenarios", "config"]}
failures = []


def complaints(name, document):
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:120]}" for e in SCHEMAS[name].iter_errors(document)]


def run(*arguments):
    done = subprocess.run([KVROOF, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def reader_of(name, text):
    """The reader's exit code and words on a file of that kind."""
    if name == "config":
        path = ".kvroof.yaml"
        command = ["config"]
    elif name == "scenarios":
        path = "scenarios.yaml"
        command = ["check", path, "--baseline", "baseline.json", "--update", "--quiet"]
        if os.path.exists("baseline.json"):
            os.remove("baseline.json")
    else:
        path = "mine.yaml"
        section = text.partition(":")[0]
        shown = {"devices": "hardware", "engines": "engines"}.get(section, "models")
        command = [shown, "mine", "--catalog", path]
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    code, words = run(*command)
    os.remove(path)
    if name == "scenarios" and code == 1 and "kvroof:" not in words:
        code = 0  # an answer that does not fit its budget is no mistake of form
    return code, words


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


def damaged(entry):
    """Copies of the entry with one thing wrong, or one thing left out."""
    for path, value in places(entry):
        if isinstance(value, dict):
            other = copy.deepcopy(entry)
            at(other, path)["nosuch"] = 1
            yield "unknown key", path, other
        if not path:
            continue
        if isinstance(path[-1], str):
            other = copy.deepcopy(entry)
            del at(other, path[:-1])[path[-1]]
            yield "left out", path, other
        wrong = {"a": "mapping"} if not isinstance(value, dict) else [1]
        other = copy.deepcopy(entry)
        at(other, path[:-1])[path[-1]] = wrong
        yield "another type", path, other
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            other = copy.deepcopy(entry)
            at(other, path[:-1])[path[-1]] = -1
            yield "below zero", path, other


# What the reader calls a mistake of form; anything else it says is about what the figures mean together.
OF_FORM = re.compile(r"missing key|unknown key|unknown value|unknown number format|expected a|unknown unit|has no unit|"
                     r"unknown attention kind|unknown feed-forward kind|unknown arithmetic|unknown metric|is not a")
count = 0


def sides_agree(name, what, path, text):
    global count
    count += 1
    refused = complaints(name, load(text))
    code, words = reader_of(name, text)
    place = f"{name}: {what} at {'/'.join(map(str, path))}"
    check(place + ": the schema refuses what the reader takes", code != 0 or not refused, refused[:2])
    check(place + ": the schema takes what the reader refuses",
          refused or code == 0 or not OF_FORM.search(words), words[:300])


def entry(path, section, id):
    return DOCUMENTS[path][section][id]


ENTRIES = [("models", "models", entry("models.yaml", "models", id)) for id in ["deepseek-v3.2", "qwen3-next-80b-a3b"]] + [
    ("hardware", "devices", entry("hardware.yaml", "devices", "h100-sxm")),
    ("hardware", "engines", entry("hardware.yaml", "engines", "vllm")),
]
for name, section, spec in ENTRIES:
    renamed = copy.deepcopy(spec)
    renamed["aliases"] = ["nobody else's"]
    for what, path, other in damaged(renamed):
        sides_agree(name, what, path, f"{section}:\n  mine: {json.dumps(other)}\n")

for what, path, other in damaged(DOCUMENTS["docs/ci/scenarios.yaml"]):
    if path and path[-1] == "model":
        continue  # the made-up model is in another file; any text is a model's name
    other["scenarios"] = [dict(s, model="llama-3.1-8b") if isinstance(s, dict) and "model" in s else s
                          for s in other.get("scenarios", [])] if isinstance(other.get("scenarios"), list) else \
        other.get("scenarios", [])
    sides_agree("scenarios", what, path, json.dumps(other) + "\n")

# ---- by hand: words and units ------------------------------------------------------------------------------
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
