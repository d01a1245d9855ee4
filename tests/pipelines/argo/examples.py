"""Pipelines that are not the project's own: each construct that is lowered, and combinations of them."""

from typing import Any, NamedTuple

from kfp import dsl, kubernetes


def run(name: str, *args: Any) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="registry.example.com/tools:1", command=["run", name], args=list(args))


@dsl.container_component
def hello(who: str = "world"):
    return run("hello", "--who", who)


@dsl.container_component
def make(names: dsl.OutputPath(list), folder: dsl.Output[dsl.Dataset], count: int = 3):
    return run("make", count, names, folder.path)


@dsl.container_component
def use(folder: dsl.Input[dsl.Dataset], name: str, word: dsl.OutputPath(str), page: dsl.Output[dsl.HTML]):
    return run("use", folder.path, name, word, page.path)


@dsl.container_component
def measure(name: str, size: dsl.OutputPath(int), share: dsl.OutputPath(float), good: dsl.OutputPath(bool)):
    return run("measure", name, size, share, good)


@dsl.container_component
def describe(name: str, facts: dsl.OutputPath(dict), parts: dsl.OutputPath(list)):
    return run("describe", name, facts, parts)


@dsl.container_component
def join(words: list, table: dsl.Output[dsl.Markdown], loud: bool = False):
    return run("join", words, table.path, loud)


@dsl.container_component
def tally(sizes: list, shares: list, goods: list, score: dsl.Output[dsl.Metrics]):
    return run("tally", "--sizes", sizes, "--shares", shares, "--goods", goods, score.path)


@dsl.container_component
def say(word: str, out: dsl.OutputPath(str), number: int = 2, extra: str = None):  # noqa: RUF013 - what kfp reads
    return run(
        "say", dsl.ConcatPlaceholder(["word=", word, "!"]), number, out,
        dsl.IfPresentPlaceholder(input_name="extra", then=["--extra", extra], else_=["--plain"]),
    )  # fmt: skip


@dsl.container_component
def train(rows: list, options: dict, rate: float, log: dsl.Output[dsl.Artifact], model: dsl.Output[dsl.Model]):
    return run("train", rows, options, rate, log.path, model.path, "--executor-input", "{{$}}")


@dsl.container_component
def clean(note: str):
    return run("clean", note)


@dsl.container_component
def told(rest: str):
    return run("told", dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER, rest)


@dsl.container_component
def page(seen: dsl.Input[dsl.HTML]):
    return run("page", seen.path)


@dsl.component
def add(a: int, text: str, shown: dsl.Output[dsl.Metrics]) -> NamedTuple("Sum", [("total", int), ("words", list)]):
    shown.log_metric("share", 0.5)
    return (a + len(text), [text])


@dsl.pipeline(name="one-step")
def one_step(who: str = "you"):
    hello(who=who)


@dsl.pipeline(name="chain", description="Artifacts and order.")
def chain(count: int = 2) -> dsl.HTML:
    made = make(count=count)
    used = use(folder=made.outputs["folder"], name="first")
    use(folder=made.outputs["folder"], name="second").after(used)
    return used.outputs["page"]


@dsl.pipeline(name="fan")
def fan(count: int = 2) -> dsl.Markdown:
    made = make(count=count)
    with dsl.ParallelFor(made.outputs["names"]) as name:
        used = use(folder=made.outputs["folder"], name=name)
    return join(words=dsl.Collected(used.outputs["word"])).outputs["table"]


@dsl.pipeline(name="limited")
def limited(count: int = 2):
    made = make(count=count)
    with dsl.ParallelFor(made.outputs["names"], parallelism=2) as name:
        used = use(folder=made.outputs["folder"], name=name)
    join(words=dsl.Collected(used.outputs["word"]), loud=True)


@dsl.pipeline(name="nested")
def nested(names: list = ["a", "b"]):  # noqa: B006 - what kfp reads
    with dsl.ParallelFor(names) as name:
        told = describe(name=name)
        with dsl.ParallelFor(told.outputs["parts"], parallelism=1) as part:
            said = say(word=part)
        with dsl.ParallelFor(["x", "y"]) as side:
            say(word=side).after(said)


@dsl.pipeline(name="numbers")
def numbers(names: list):
    with dsl.ParallelFor(names) as name:
        one = measure(name=name)
    tally(
        sizes=dsl.Collected(one.outputs["size"]),
        shares=dsl.Collected(one.outputs["share"]),
        goods=dsl.Collected(one.outputs["good"]),
    )


@dsl.pipeline(name="structures")
def structures(names: list):
    with dsl.ParallelFor(names) as name:
        one = describe(name=name)
    join(words=dsl.Collected(one.outputs["facts"]))
    join(words=dsl.Collected(one.outputs["parts"]))


@dsl.pipeline(name="inner")
def inner(word: str) -> str:
    first = say(word=word)
    return say(word=first.outputs["out"], extra="more").outputs["out"]


@dsl.pipeline(name="inside")
def inside(word: str = "w"):
    first = inner(word=word)
    second = inner(word=first.output)
    say(word=second.output)


@dsl.pipeline(name="guarded")
def guarded(note: str = "done"):
    last = clean(note=note)
    with dsl.ExitHandler(last, name="work"):
        made = make()
        use(folder=made.outputs["folder"], name="x")


@dsl.pipeline(name="stubborn")
def stubborn():
    task = hello().set_retry(3, backoff_duration="5s", backoff_factor=2, backoff_max_duration="60s")
    task.set_cpu_request("250m").set_memory_request("1Gi").set_memory_limit("2Gi")
    task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1).set_env_variable("LEVEL", "3")
    hello(who="again").set_retry(0)


@dsl.pipeline(name="choices")
def choices(word: str = "w"):
    say(word=word, number=5)
    say(word=word, extra="one")
    say(word=word, extra="two")


@dsl.pipeline(name="texts")
def texts(who: str = "you", n: int = 3):
    first = say(word=f"for {who}, {n} times")
    say(word=f"{first.outputs['out']} and {who}")


@dsl.container_component
def shell(name: str, price: str = "$$ $(HOME)"):
    return run("shell", "-c", "echo $(HOME) $$ $", f"$(HOME){name}$", dsl.ConcatPlaceholder(["$", name]), price)


@dsl.pipeline(name="dollars")
def dollars(who: str = "you"):
    shell(name="(HOME) $$$").set_env_variable("PLACE", "at $(HOME)")
    told = say(word="plain")
    shell(name=f"${told.outputs['out']} $(HOME) for {who}", price="$$(HOME)")


@dsl.pipeline(name="constants")
def constants():
    train(rows=["a", 1, 2.5, {"b": []}], options={"deep": {"er": "größer"}}, rate=3.0)


@dsl.pipeline(name="branches", display_name="Heads or tails", pipeline_root="s3://bucket/runs")
def branches(face: str = "heads", limit: float = 300.5, on: bool = True):
    measured = measure(name=face)
    made = make()
    with dsl.If(face == "heads"):
        first = use(folder=made.outputs["folder"], name="first")
    with dsl.Elif(measured.outputs["size"] > limit):
        second = use(folder=made.outputs["folder"], name="second")
    with dsl.Else():
        third = use(folder=made.outputs["folder"], name="third")
    tasks = (first, second, third)
    said = say(word=dsl.OneOf(*(task.outputs["word"] for task in tasks)))
    page(seen=dsl.OneOf(*(task.outputs["page"] for task in tasks)))
    with dsl.If(on == True), dsl.ParallelFor(["a", "b"]) as item, dsl.If(item != "b"):  # noqa: E712 - what kfp reads
        hello(who=item)
    with dsl.If(face == '{{item}} "}}'):
        hello(who="never").after(said)


@dsl.pipeline(name="named")
def named():
    say(word=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)
    say(word=f"{dsl.PIPELINE_TASK_NAME_PLACEHOLDER} of {dsl.PIPELINE_JOB_ID_PLACEHOLDER}")
    join(words=["since", dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER])
    told(rest="x")


@dsl.pipeline(name="placed")
def placed():
    task = hello()
    kubernetes.add_node_selector(task, "feature.node.kubernetes.io/cpu-cpuid.AMXBF16", "true")
    kubernetes.add_toleration(task, key="dedicated", operator="Equal", value="ml", effect="NoSchedule")
    kubernetes.add_toleration(task, operator="Exists", effect="NoExecute", toleration_seconds=60)
    kubernetes.use_secret_as_env(task, "keys", {"token": "API_TOKEN"})
    kubernetes.use_config_map_as_env(task, "places", {"proxy": "HTTPS_PROXY"})
    kubernetes.mount_pvc(task, "data", "/data")
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_timeout(task, 600)
    kubernetes.add_pod_label(task, "team", "quality")
    kubernetes.add_pod_annotation(task, "note", "x")


@dsl.pipeline(name="python")
def python(text: str = "abc"):
    add(a=2, text=text)


@dsl.container_component
def collect(words: list = []):  # noqa: B006 - as kfp wants it
    return run("join", words)


@dsl.pipeline(name="tolerant")
def tolerant(names: list = ["a", "b"]):  # noqa: B006 - as kfp wants it
    with dsl.ParallelFor(names) as name:
        said = say(word=name)
    collect(words=dsl.Collected(said.outputs["out"])).ignore_upstream_failure()


@dsl.pipeline(name="after-all")
def after_all(note: str = "n"):
    noted = say(word=note)
    made = make().after(noted)
    with dsl.ParallelFor(made.outputs["names"], parallelism=2) as name:
        used = use(folder=made.outputs["folder"], name=name)
    hello(who=noted.outputs["out"]).after(used).ignore_upstream_failure()


VALID = [
    one_step, chain, fan, limited, tolerant, after_all, nested, numbers, structures, inside, guarded, stubborn, choices, texts, dollars, constants,
    branches, named, placed, python,
]  # fmt: skip
