"""Provenance: whatever changes an answer is told by name, by a store and of a worker; nothing else is."""

import functools
import importlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest
from assertions import assert_identical
from held import Heir, Held, Slotted, Trusted
from hypothesis import given
from hypothesis import strategies as st
from wavy import Wavy

from sims.learners import KernelSum, LeastSquares, Logistic
from sims.retrain import engine, provenance, response_table, sources
from sims.retrain import tables as retrain
from theory.compiled import compiled
from theory.response import Learner
from theory.storage import json_digest

ROOT = Path(__file__).parents[3]
LOGISTIC = Logistic(np.eye(8, 2) + 0.1, [0, 1] * 4, np.eye(2), l2=0.1)
KERNEL_SUM = KernelSum([[0.0], [0.0]], [1.0, 3.0], [[0.0]])


@pytest.fixture(autouse=True)
def small_blocks_in_processes(monkeypatch):
    monkeypatch.setattr(retrain, "_WORTH_PROCESSES", 0.0)
    monkeypatch.setattr(Logistic, "block_rows", 64, raising=False)


def told(learner):
    """Everything that a store keeps, as one text."""
    return json.dumps(provenance.settings_of(learner))


# --- workers ---------------------------------------------------------------------------------------------------------------

OTHER = {
    "a method": ("sims.learners.logistic.Logistic", "respond", "lambda *_: 0", r"in_memory.sims.learners.logistic.Logistic: {}"),
    "a function": ("sims.learners.linear.erm", "in_blocks", "lambda *_: 0", r"in_memory.sims.learners.linear.erm: {}"),
    "a helper": ("sims.learners.logistic._Rows", "gradient", "lambda *_: 0", r"in_memory.sims.learners.logistic: {}"),
    "a constant": ("sims.learners.logistic", "GRADIENT_TOLERANCE", "1e-3", r"in_memory.sims.learners.logistic: {}"),
    "a kernel": ("sims.learners.linear.batched", "solve", "lambda *_: 0", r"in_memory.sims.learners.linear.batched: {}"),
    "a version": (
        "sims.retrain.sources",
        "version_of",
        "lambda _: '0.1'",
        r"versions.numpy: the worker has 0.1, the coordinator 2",
    ),
    "BLAS": (
        "sims.retrain.provenance",
        "hardware",
        "(lambda told: lambda: {**told, 'blas': ['Abacus']})(provenance.hardware())",
        r"blas: the worker has \['Abacus'\], the",
    ),
    "no JIT": ("numba.config", "DISABLE_JIT", "1", r"numba.DISABLE_JIT: the worker has 1, the coordinator 0"),
    "a processor": ("numba.config", "CPU_NAME", "'generic'", r"numba.CPU_NAME: the worker has generic, the coordinator None"),
}


def other_program(name):
    """What makes a worker another program than this one, and the message that names it."""
    target, attribute, value, message = OTHER[name]
    code = f"""
import numba, pkgutil
from unittest import mock
from sims.learners import Logistic
from sims.retrain import provenance
mock.patch.object(pkgutil.resolve_name({target!r}), {attribute!r}, {value}).start()
"""
    digests = r"the worker has \w{{16}}, the coordinator \w{{16}}".format()
    return code, f"a worker differs from the coordinator: .*{message.format(digests)}"


@pytest.fixture(scope="module")
def one_process():
    """A spawned worker with the block size of this file."""
    with engine.process_pool(1) as pool:
        pool.submit(exec, "from sims.learners import Logistic; Logistic.block_rows = 64").result()
        yield pool


@pytest.fixture
def worker(one_process):
    """The same, as it was once a test is over."""
    yield one_process
    undo = (
        "from unittest import mock; from sims.retrain import provenance as p; mock.patch.stopall(); p._require_same.cache_clear()"
    )
    one_process.submit(exec, undo).result()


@pytest.mark.parametrize("name", OTHER)
def test_a_process_that_is_another_program_is_refused_by_the_name_of_what_differs(name, worker):
    code, message = other_program(name)
    worker.submit(exec, code).result()
    with pytest.raises(OSError, match=message):
        response_table(LOGISTIC, (0,), executor=worker)


def test_a_process_that_is_the_same_program_computes(worker):
    assert_identical(response_table(LOGISTIC, (0,), executor=worker).samples, response_table(LOGISTIC, (0,)).samples)


def test_a_dask_worker_that_is_another_program_is_refused_by_the_name_of_what_differs():
    distributed = pytest.importorskip("dask.distributed")
    code, message = other_program("a method")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        engine.dask_executor(cluster.scheduler_address) as executor,
    ):
        executor.submit(exec, "from sims.learners import Logistic; Logistic.block_rows = 64").result()
        assert_identical(response_table(LOGISTIC, (0,), executor=executor).samples, response_table(LOGISTIC, (0,)).samples)
        undo = "from sims.retrain import provenance; provenance._require_same.cache_clear()"
        executor.submit(exec, code + undo).result()
        with pytest.raises(OSError, match=message):
            response_table(LOGISTIC, (0,), executor=executor)


LEARNER = """
import numpy as np
from parts import helper
class Mine:
    n_points, n_outputs, block_rows = 6, 1, 32
    def respond(self, weights, seeds):
        return helper.scaled(np.asarray(weights).sum(axis=1)[:, None, None]) + np.zeros((1, len(seeds), 1))
"""
HELPER = "def scaled(values):\n    return values\n"


def checkout(folder, learner, helper):
    """Write a user's program: a module with a learner, and a package that it imports from."""
    (folder / "parts").mkdir(parents=True)
    (folder / "parts" / "__init__.py").touch()
    (folder / "parts" / "helper.py").write_text(helper)
    (folder / f"{learner}.py").write_text(LEARNER)
    return folder


def test_a_worker_that_reads_another_source_checkout_is_refused_by_the_name_of_the_module(tmp_path, monkeypatch):
    here = checkout(tmp_path / "here", "learner_of_two", HELPER)
    there = checkout(tmp_path / "there", "learner_of_two", HELPER.replace("return values", "return 1.001 * values"))
    forget(monkeypatch)
    monkeypatch.syspath_prepend(here)
    learner = importlib.import_module("learner_of_two").Mine()
    with engine.process_pool(1) as pool:
        assert_identical(response_table(learner, (0,), executor=pool).samples, response_table(learner, (0,)).samples)
    with engine.process_pool(1) as pool:
        pool.submit(exec, f"import sys; sys.path.insert(0, {str(there)!r})").result()
        with pytest.raises(
            OSError, match=r"coordinator: code.parts.helper: the worker has \w{16}, the coordinator \w{16}; in_mem"
        ):
            response_table(learner, (0,), executor=pool)


def test_a_learner_that_cannot_be_told_is_refused_by_a_store_and_compared_as_far_as_it_can_be_without(tmp_path):
    learner = Held(object())
    with pytest.raises(TypeError, match=r"Held.value is a object, expected numbers, .*: a store keeps .* `fingerprint\(\)`"):
        response_table(learner, (0,), store=tmp_path)
    with ThreadPoolExecutor(1) as threads:
        assert_identical(response_table(learner, (0,), executor=threads).samples, response_table(learner, (0,)).samples)


def test_nothing_is_told_where_nobody_asks(monkeypatch):
    monkeypatch.setattr(provenance, "record_of", None)
    response_table(LOGISTIC, (0,))
    response_table(LOGISTIC, (0,), executor=1)


# --- what a store tells of users' modules ----------------------------------------------------------------------------------


def forget(monkeypatch):
    """Let modules that a test makes be imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("learner_of_two", "parts", "mine", "helper")]:
        monkeypatch.delitem(sys.modules, name)


FILES = {
    "mine/__init__.py": "from mine import setup\n",
    "mine/setup.py": "RATE = 0.1\n",
    "mine/learner.py": (
        "import numpy as np\nfrom importlib import import_module\nfrom typing import TYPE_CHECKING\nfrom . import beside\n"
        "if TYPE_CHECKING:\n    from mine import for_types\n"
        "class Mine:\n    n_points = n_outputs = 1\n    def respond(self, weights, seeds):\n"
        "        from mine.deep import late\n        import_module('mine.named')\n        return beside, late\n"
    ),
    "mine/beside.py": "from ..mine import through\n".replace("..mine", "."),
    "mine/through.py": "import helper.part as part\n",
    "mine/deep/__init__.py": "",
    "mine/deep/late.py": "import json\n",
    "mine/named.py": "",
    "mine/for_types.py": "",
    "mine/unrelated.py": "",
    "helper/__init__.py": "",
    "helper/part.py": "",
}
REACHED = {*FILES} - {"mine/for_types.py", "mine/unrelated.py"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A user's project of some packages; (folder, learner)."""
    forget(monkeypatch)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path, importlib.import_module("mine.learner").Mine()
    forget(monkeypatch)


def test_an_edit_of_any_module_that_a_learner_imports_is_named_and_of_no_other(project):
    folder, learner = project
    first = provenance.settings_of(learner)["code"]
    for name in FILES:
        (folder / name).write_text(FILES[name] + "\nedited = 1\n")
        found = provenance.settings_of(learner)["code"]
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        assert [key for key in found if found[key] != first[key]] == ([module] if name in REACHED else []), name
        (folder / name).write_text(FILES[name])
    assert provenance.settings_of(learner)["code"] == first
    assert "mine.deep.late" not in sys.modules, "nothing is executed in order to look at it"


def test_comments_docstrings_and_formatting_are_no_other_code(project):
    folder, learner = project
    first = told(learner)
    text = FILES["mine/learner.py"].replace("n_points = n_outputs = 1", "'''A learner.'''\n    n_points = (n_outputs) = 1  # one")
    (folder / "mine/learner.py").write_text("'''A module.'''\n\n\n" + text)
    assert told(learner) == first


def test_a_module_that_was_edited_after_its_import_is_told_as_it_is_in_memory_too(project):
    folder, learner = project
    (folder / "mine/setup.py").write_text("RATE = 0.2\n")
    edited = provenance.settings_of(learner)
    sys.modules["mine.setup"].RATE = 0.2
    rerun = provenance.settings_of(learner)
    assert provenance.differences(edited, rerun) == [
        f"in_memory.mine.setup: the store has {edited['in_memory']['mine.setup']}, this run {rerun['in_memory']['mine.setup']}"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "theory/compiled.py",
        "theory/subsets.py",
        "theory/streams.py",
        "sims/learners/logistic.py",
        "sims/learners/network/kernels/training.py",
        "sims/learners/network/kernels/layers.py",
    ],
)
def test_the_learners_own_modules_count_for_every_learner(name, monkeypatch):
    first, read = provenance.settings_of(Wavy())["code"], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda file: read(file) + b"\nedited = 1\n" * file.as_posix().endswith(name))
    found = provenance.settings_of(Wavy())["code"]
    assert [key for key in found if found[key] != first[key]] == [name.removesuffix(".py").replace("/", ".")]


def test_names_of_the_package_lead_to_the_modules_behind_them(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("import dfdw\nfrom sims.learners import KernelSum\nmake = dfdw.optimal_datamodel\n")
    forget(monkeypatch)
    monkeypatch.syspath_prepend(tmp_path)
    found = sources.reached(["mine"])
    assert {"sims.learners.kernel_sum"} <= found.executed
    assert {"theory.datamodel.exact"} <= found.later
    assert not {"sims.learners.mlp", "sims.datasets", "figures"} & (found.executed | found.later)


def test_versions_are_those_of_what_is_reached_and_of_what_that_requires():
    always = {"python", "numpy", "scipy", "numba", "llvmlite"}
    assert set(provenance.settings_of(Wavy())["versions"]) == always
    estimator = pytest.importorskip("sims.learners.adapters.estimator")
    ridge = importlib.import_module("sklearn.linear_model").Ridge()
    learner = estimator.SklearnLearner(ridge, np.eye(3), np.ones(3), np.eye(3), output="regression")
    assert always | {"scikit-learn", "joblib"} <= set(provenance.settings_of(learner)["versions"])


def test_numba_is_told_of_learners_that_reach_it_and_not_imported_for_others():
    assert provenance.settings_of(LOGISTIC)["numba"]["DISABLE_JIT"] == 0
    program = """
import sys
from sims.learners import KernelSum
from sims.retrain.provenance import settings_of
settings = settings_of(KernelSum([[0.0], [0.0]], [1.0, 3.0], [[0.0]]))
print("numba" in settings, "numba" in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.check_output([sys.executable, "-c", program], env=environment, text=True).split() == ["False", "False"]


@pytest.mark.parametrize(("name", "value"), [("CPU_NAME", "generic"), ("DISABLE_JIT", 1)])
def test_a_store_refuses_other_settings_of_the_compiler_by_name(name, value, tmp_path, monkeypatch):
    response_table(LOGISTIC, (0,), store=tmp_path)
    monkeypatch.setattr(numba.config, name, value)
    with pytest.raises(ValueError, match=f"holds another run: numba.{name}: the store has .*, this run {value}. Choose"):
        response_table(LOGISTIC, (0,), store=tmp_path)


def test_a_store_of_an_earlier_version_is_refused_by_what_it_told_in_another_way(tmp_path):
    response_table(KERNEL_SUM, (0,), store=tmp_path)
    settings = json.loads((tmp_path / "run.json").read_text())
    del settings["fingerprint"], settings["in_memory"], settings["versions"]["python"], settings["hardware"]["libc"]
    settings["code"] = 64 * "0"
    (tmp_path / "run.json").write_text(json.dumps({"fingerprint": json_digest(settings), **settings}))
    message = (
        r"another run: code: the store has 0{64}, this run \d+ values by name \(another version of dfdw wrote it\); "
        r"hardware.libc: only this run has .*; in_memory: only this run has \d+ values.*; versions.python: only this run has 3"
    )
    with pytest.raises(ValueError, match=message):
        response_table(KERNEL_SUM, (0,), store=tmp_path)


def test_another_python_is_named_alone_since_it_digests_the_same_code_otherwise():
    one, other = ({"code": {"a": k}, "in_memory": {"a": k}, "versions": {"python": k}} for k in "12")
    assert provenance.differences(one, other) == ["versions.python: the store has 1, this run 2"]


def test_numbers_that_are_equal_but_not_the_same_differ():
    for one, other in ((1, True), (0.0, -0.0), (1, 1.0)):
        assert provenance.differences({"l2": one}, {"l2": other}) == [f"l2: the store has {one}, this run {other}"]
    assert provenance.differences({"l2": float("nan")}, {"l2": float("nan")}) == []


# --- what a store tells of classes and instances ----------------------------------------------------------------------------


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(one=PLAIN, other=PLAIN, slot=st.sampled_from(["field", "attribute", "class"]))
def test_plain_values_wherever_they_stand_are_told_apart(one, other, slot):
    def with_value(value):
        learner = Heir(value) if slot == "field" else Heir()
        with pytest.MonkeyPatch.context() as patch:
            if slot != "field":
                patch.setattr(learner if slot == "attribute" else Held, "added", value, raising=False)
            return json.loads(told(learner))

    same = json.dumps(one) == json.dumps(other)
    assert (not provenance.differences(with_value(one), with_value(other))) == same


def test_attributes_in_slots_and_of_heirs_are_told_and_what_a_cached_property_keeps_is_not():
    assert told(Slotted(1.0)) != told(Slotted(2.0))
    one, other = Heir(), Heir()
    other.extra = 2.0
    assert told(one) != told(other)
    first = told(one)
    assert one.kept is one.kept
    assert told(one) == first


def test_arrays_are_told_by_every_bit_shape_and_type():
    tiny = np.nextafter(0.0, 1.0)
    values = [np.zeros(3), np.zeros((3, 1)), np.zeros(3, dtype=np.float32), np.array([0.0, 0.0, tiny])]
    assert len({told(Held(value)) for value in values}) == len(values)
    assert told(Held(np.zeros(3))) == told(Held(np.zeros(3)))


def scaled(factor):
    def respond(self, weights, seeds):
        return factor * np.ones((len(weights), len(seeds), 1))

    return respond


def with_default(factor):
    return lambda self, weights, seeds, factor=factor: factor * np.ones((len(weights), len(seeds), 1))


def wrapped(factor):
    return functools.wraps(Held.respond)(scaled(factor))


def one_line(x):
    return x + 1


def other_line(x):
    return x + 2


def documented(x):
    """Return the next number."""
    return x + 1


PATCHES = {
    "a closure": ("respond", scaled(1.0), scaled(2.0)),
    "a default": ("respond", with_default(1.0), with_default(2.0)),
    "a wrapper": ("respond", wrapped(1.0), wrapped(2.0)),
    "a property": ("constant", property(one_line), property(other_line)),
    "a static method": ("helper", staticmethod(one_line), staticmethod(other_line)),
    "a class method": ("helper", classmethod(one_line), classmethod(other_line)),
    "a cached property": ("helper", functools.cached_property(one_line), functools.cached_property(other_line)),
    "a cache": ("helper", functools.lru_cache(one_line), functools.lru_cache(other_line)),
    "a partial": ("helper", functools.partial(max, 1), functools.partial(max, 2)),
    "a kernel": ("helper", compiled(one_line), compiled(other_line)),
    "numba's": ("helper", numba.njit(one_line), numba.njit(other_line)),
    "a ufunc": ("helper", np.tanh, np.sin),
    "a value": ("scale", 1.0, 1.001),
    "an array": ("scale", np.zeros(3), np.ones(3)),
    "a class": ("helper", Wavy, LeastSquares),
}


@pytest.mark.parametrize("kind", [Held, Heir, Trusted])
@pytest.mark.parametrize("name", PATCHES)
def test_what_a_program_sets_in_a_class_is_told_by_what_it_does(name, kind, monkeypatch):
    attribute, one, other = PATCHES[name]
    found = []
    for value in (one, other, one):
        monkeypatch.setattr(kind, attribute, value, raising=False)
        found.append(provenance.settings_of(kind()))
    assert found[0] == found[2]
    changed = {key for key in found[0]["in_memory"] if found[0]["in_memory"][key] != found[1]["in_memory"].get(key)}
    assert f"{kind.__module__}.{kind.__name__}" in changed


@pytest.mark.parametrize("name", ["a closure", "a default", "a kernel", "numba's", "a partial", "a ufunc"])
def test_functions_that_an_instance_holds_are_told_by_what_they_do(name):
    _, one, other = PATCHES[name]
    assert told(Held(one)) == told(Held(one)) != told(Held(other))


def test_a_docstring_and_what_the_interpreter_has_specialised_are_no_other_function():
    namespace = {}
    exec("def documented(x):\n    return x + 1", namespace)
    held = [Held(documented), Held(one_line)]
    before = told(held[0])
    for k in range(1000):
        documented(k)
    assert told(held[0]) == before == told(held[1])


@pytest.mark.parametrize("value", [object(), set(), np.array([object()]), eval("lambda x: x"), [object()], {"a": object()}])
def test_what_cannot_be_told_is_refused_by_name_unless_the_learner_says_itself_what_decides(value):
    with pytest.raises(TypeError, match=r"^Held.value.* is an? .*expected numbers, text, arrays, .*fingerprint"):
        provenance.settings_of(Held(value))
    assert provenance.settings_of(Trusted(value))["learner"]["value"] == "trusted"


def test_what_cannot_be_told_is_refused_in_a_class_and_a_closure_too(monkeypatch):
    monkeypatch.setattr(Held, "helper", object(), raising=False)
    with pytest.raises(TypeError, match=r"^Held.helper is a object, expected"):
        provenance.settings_of(Held())
    assert provenance.settings_of(Trusted())["learner"]["value"] == "trusted"
    monkeypatch.setattr(Held, "helper", scaled(object()))
    with pytest.raises(TypeError, match=r"^Held.helper, which encloses factor, is a object, expected"):
        provenance.settings_of(Held())


def test_what_the_interpreter_notes_in_a_class_is_no_other_class():
    class Explicit(Held, Learner):
        """Inherits from a protocol, which replaces `__init__` when the first instance is made."""

    learner = Explicit()
    first = told(learner)
    learner.__reduce_ex__(2)  # notes the names of its slots, as pickling does
    assert "__slotnames__" in vars(Explicit)
    assert told(learner) == first


def test_the_module_of_a_function_that_an_instance_holds_is_told(project):
    folder, learner = project
    holder = Held(type(learner).respond)
    first = provenance.settings_of(holder)["code"]
    (folder / "helper/part.py").write_text("edited = 1")
    found = provenance.settings_of(holder)["code"]
    assert [key for key in found if found[key] != first[key]] == ["helper.part"]
