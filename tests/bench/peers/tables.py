"""Makes the tables of docs/benchmarks.md from the records of a log."""

import statistics

PEAKS = [
    ("matrix product in fp32 (LibTorch)", "matmul_fp32", " GFLOP/s"),
    ("matrix product in bf16 (LibTorch)", "matmul_bf16", " GFLOP/s"),
    ("reading memory", "memory_read", " GB/s"),
]


def number(value):
    """Three digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_range(values):
    low, high = number(min(values)), number(max(values))
    return f"{number(statistics.median(values))} [{low} to {high}]"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def grouped(records, keys):
    """The records of speed by the values of these keys, in the order of the log."""
    groups = {}
    for record in records:
        if record["kind"] == "speed":
            groups.setdefault(tuple(record[key] for key in keys), []).append(record)
    return groups


def median_of(records, key):
    return statistics.median(record[key] for record in records)


def peak(records, key):
    return statistics.median(record[key] for record in records if record["kind"] == "peaks")


def notes(records):
    found = []
    for record in records:
        if record["kind"] == "note":
            where = f" with {record['shape']}" if "shape" in record else ""
            found.append(f"\nA message of {record['program']}{where}: `{record['note'].strip(' |')}`\n")
    return "".join(found)


def percent(share):
    return f"{100 * share:.0f} %" if share >= 0 else "unknown"


def ratios(speeds):
    """The ratio of terse to each other program at the same dtype, as a text.

    speeds: the median speed by (program, dtype).
    """
    texts = {}
    for (program, dtype), speed in speeds.items():
        if program == "terse":
            continue
        ratio = speeds["terse", dtype] / speed
        texts[program, dtype] = f"{ratio:.2f}" + ("" if ratio >= 1 else ", terse is slower")
    return texts


def verdict(what, speeds):
    """One sentence that compares the fastest dtype of terse with the fastest other program."""
    ours = max((key for key in speeds if key[0] == "terse"), key=speeds.get)
    theirs = max((key for key in speeds if key[0] != "terse"), key=speeds.get)
    ratio = speeds[ours] / speeds[theirs]
    slower = "" if ratio >= 1 else " So terse is slower here."
    return f"{what}: terse in {ours[1]} is {ratio:.2f} times as fast as the fastest other program ({theirs[0]}, {theirs[1]}).{slower}\n"


def verdicts(found):
    return "\n" + "".join(f"- {text}" for text in found)


def training_section(records):
    text = (
        "\n## Training\n\n"
        "An update is forward, backward, clipping and AdamW on random tokens.\n"
        "The share of the matrix product is the number of operations of the weights and of attention, without those of the optimizer, "
        "divided by the time of the whole update, in relation to what LibTorch's matrix product does in this dtype.\n"
        "terse keeps fp32 master weights in bf16, as autocast does; a model with all weights in bf16 loses small updates to rounding.\n\n"
    )
    rows, found = [], []
    for (shape,), of_shape in grouped(records, ["shape"]).items():
        groups = grouped(of_shape, ["program", "dtype"])
        speeds = {key: median_of(group, "tokens_per_s") for key, group in groups.items()}
        ratio = ratios(speeds)
        for (program, dtype), group in groups.items():
            share = median_of(group, "flops") / peak(records, f"matmul_{dtype}")
            sizes = f"{group[0]['sequences']} x {group[0]['tokens']}"
            tokens = with_range([record["tokens_per_s"] for record in group])
            parameters = f"{group[0]['parameters'] / 1e6:.1f} M"
            rows.append((shape, parameters, sizes, program, dtype, tokens, percent(share), ratio.get((program, dtype), "")))
        found.append(verdict(shape, speeds))
    head = ("shape", "parameters", "sequences x tokens", "program", "dtype", "tokens/s", "of matrix product", "ratio of terse")
    return text + table(head, rows) + verdicts(found) + notes(records)


def batch_name(sequences, prompts):
    return f"{sequences} samples of one prompt" if prompts < sequences else f"batch {sequences}"


def generation_tables(records):
    rows, found = [], []
    for (shape, sequences, prompts), of_batch in grouped(records, ["shape", "sequences", "prompts"]).items():
        groups = grouped(of_batch, ["program", "dtype"])
        speeds = {key: median_of(group, "tokens_per_s") for key, group in groups.items()}
        ratio = ratios(speeds)
        for (program, dtype), group in groups.items():
            memory = median_of(group, "weight_bytes_per_s") / peak(records, "memory_read")
            matmul = median_of(group, "flops") / peak(records, f"matmul_{dtype}")
            batch = batch_name(sequences, prompts)
            tokens = with_range([record["tokens_per_s"] for record in group])
            shares = percent(memory), percent(matmul)
            rows.append((shape, batch, group[0]["prompt_tokens"], program, dtype, tokens, *shares, ratio.get((program, dtype), "")))
        found.append(verdict(f"{shape}, {batch_name(sequences, prompts)}", speeds))
    head = ("shape", "sequences", "tokens of a prompt", "program", "dtype", "new tokens/s", "of memory", "of matrix product", "ratio of terse")
    return table(head, rows) + verdicts(found) + notes(records)


GENERATION_COLUMNS = (
    "The new tokens per second include the time of the prompts; the two shares leave it out.\n"
    "The share of memory compares the bytes of the weights that one step of all sequences reads with the speed of reading memory.\n\n"
)


def generation_section(records):
    added = next(record["new_tokens"] for record in records if record["kind"] == "speed")
    return (
        "\n## Generation\n\n"
        f"Each sequence gets {added} new tokens, sampled at temperature 1 from random weights.\n"
        "The other program is `generate` of transformers with its default cache; it computes a prompt once for each of its samples, "
        "and terse once for all of them.\n" + GENERATION_COLUMNS + generation_tables(records)
    )


def llama_section(records):
    added = next(record["new_tokens"] for record in records if record["kind"] == "speed")
    return (
        "\n## Generation with llama.cpp\n\n"
        f"The model is SmolLM2-135M, and each sequence gets {added} new tokens, sampled at temperature 1.\n"
        "llama.cpp has the weights as a GGUF file in F32 or BF16, and keys and values in fp16.\n" + GENERATION_COLUMNS + generation_tables(records)
    )


def grpo_section(records):
    text = (
        "\n## A step of GRPO\n\n"
        "A step samples the rollouts, judges them and makes one update, in micro-batches of equal size.\n"
        "Every rollout has the same number of tokens, and every one has an advantage.\n"
        "Both programs generate in the process that learns, so neither of them sends weights, and there is no time of sync.\n"
        "terse counts the time of its verification as part of the rollouts.\n"
        "The rest is what the program does besides. The peak memory is that of the process.\n\n"
    )
    rows, found = [], []
    for (shape,), of_shape in grouped(records, ["shape"]).items():
        groups = grouped(of_shape, ["program", "dtype"])
        speeds = {key: 1 / median_of(group, "seconds") for key, group in groups.items()}
        ratio = ratios(speeds)
        for (program, dtype), group in groups.items():
            whole = median_of(group, "seconds")
            parts = [median_of(group, key) / whole for key in ("rollout", "verify", "update")]
            shown = [percent(share) for share in (*parts, max(0.0, 1 - sum(parts)))]
            if program == "terse":
                shown[1] = "in rollout"
            sizes = f"{group[0]['rollouts']} x ({group[0]['prompt_tokens']} + {group[0]['new_tokens']})"
            memory = f"{median_of(group, 'peak_bytes') / 2**30:.2f} GiB"
            seconds = with_range([record["seconds"] for record in group])
            rows.append((shape, sizes, program, dtype, seconds, *shown, memory, ratio.get((program, dtype), "")))
        found.append(verdict(shape, speeds))
    head = ("shape", "rollouts x tokens", "program", "dtype", "seconds", "rollout", "verify", "update", "rest", "peak memory", "ratio of terse")
    return text + table(head, rows) + verdicts(found) + notes(records)


def unique_checks(records):
    """The checks of a log, each once with its largest value."""
    largest = {}
    for record in records:
        if record["kind"] == "check":
            key = record["program"], record["shape"], record["what"]
            if key not in largest or record["value"] > largest[key]["value"]:
                largest[key] = record
    return list(largest.values())
