"""Cards and the weight store."""

from __future__ import annotations

import functools
import http.server
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import FrozenInstanceError, replace

import dask.base
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xgapfill
from xgapfill import weights as package
from xgapfill.weights import Card, Handle, Weights, handle, load, shipped, store


def _card(**changes) -> Card:
    values = {
        "name": "demo",
        "method": "diffusion",
        "targets": ("psc_ilr1", "psc_ilr2"),
        "conditions": ("log10_chl",),
        "network": {"width": 16, "levels": (1, 2), "silu": True},
        "ranges": {"psc_ilr1": (-3.0, 3.0)},
        "inflation": 1.1,
        "sigma_max": 4.0,
        "trained_on": "simulated ocean",
        "simulated_only": ("psc_ilr1", "psc_ilr2"),
        "scores": {"choose": {"rmse": 0.25}},
    }
    return Card(**(values | changes))


@pytest.fixture
def weights() -> Weights:
    """A small fitted state."""
    random = np.random.default_rng(0)
    return Weights(_card(), {"w": random.normal(size=(2, 3)).astype("float32"), "b": np.zeros(2, "float32")})


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Each test has a cache folder and a process memory of its own."""
    monkeypatch.setenv("XGAPFILL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("XGAPFILL_OFFLINE", raising=False)
    monkeypatch.setattr(store, "_opened", type(store._opened)())


@pytest.fixture
def server(tmp_path):
    """A web server on the loopback: (address, folder, list of paths asked for)."""
    folder = tmp_path / "served"
    folder.mkdir()
    asked = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}", folder, asked
        httpd.shutdown()


# cards


def test_card_round_trip():
    """A card read back from its own text is equal."""
    assert Card.from_toml(_card().to_toml()) == _card()


text = st.text(st.characters(codec="utf-8"), max_size=20)
plain = st.recursive(
    text | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(text, plain, max_size=4), text)
def test_card_round_trip_of_anything(table, sentence):
    """Any text, number, list or table a card may hold survives TOML."""
    card = _card(scores=table, trained_on=sentence)
    assert Card.from_toml(card.to_toml()) == card


def test_card_takes_numpy_values():
    """Numpy scalars and arrays in a card become numbers and tuples."""
    card = _card(inflation=np.float32(1.5), network={"width": np.int64(8)}, ranges={"psc_ilr1": np.array([-1.0, 2.0])})
    assert (card.inflation, card.network["width"], card.ranges["psc_ilr1"]) == (1.5, 8, (-1.0, 2.0))


def test_card_is_a_value():
    """A card cannot be changed, and its digest changes with any field."""
    card = _card()
    with pytest.raises(FrozenInstanceError):
        card.name = "other"
    assert hash(card) == hash(_card())
    assert replace(card, inflation=1.2).digest != card.digest
    assert card.channels == ("psc_ilr1", "psc_ilr2", "log10_chl")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": ()}, "at least one target"),
        ({"targets": "psc"}, "targets must be a tuple"),
        ({"conditions": ("psc_ilr1",)}, "different names"),
        ({"ranges": {"sst": (0.0, 1.0)}}, "describes channels"),
        ({"ranges": {"psc_ilr1": (1.0, 0.0)}}, "lowest, highest"),
        ({"ranges": {"psc_ilr1": (0.0, float("inf"))}}, "lowest, highest"),
        ({"sigma_max": 0.0}, "sigma_max must be a positive"),
        ({"inflation": 1e9}, "inflation must be a positive number up to 100, found 1000000000.0"),
        (
            {"network": {"widths": (32, 10**9)}},
            r"network.widths must be whole numbers from 1 to 4096, found \(32, 1000",
        ),
        ({"network": {"widths": (8.5,)}}, "network.widths must be whole numbers"),
        ({"network": {"widths": ()}}, "network.widths must be a list of 1 to 16"),
        ({"network": {"widths": (8,) * 10**6}}, "network.widths must be a list of 1 to 16"),
        ({"network": {"frames": -5}}, "network.frames must be whole numbers from 1 to 1000, found -5"),
        ({"network": {"channels": 2}}, "network.channels is 2, but the card has 3 channels"),
        ({"network": {"spread_factor": -0.8}}, "network.spread_factor must be numbers from 0.01 to 100, found -0.8"),
        ({"network": {"mean_factor": (1.0, float("nan"), 1.0)}}, "network.mean_factor must be numbers from 0 to 10"),
        ({"network": {"mean_factor": (1.0,)}}, r"network.mean_factor is \(1.0,\), but the card has 3 channels"),
        ({"background": {"sst": {"error": (1.0, float("nan"))}}}, r"background.sst.error\[1\] must be a finite number"),
        ({"inflation": float("nan")}, "inflation must be a positive"),
        ({"scores": {"rmse": None}}, "scores.rmse is a NoneType"),
        ({"network": 3}, "network must be a dict"),
        ({"intervals": {"levels": (0.9,)}}, "intervals need levels"),
        ({"intervals": {"levels": (0.9, 0.5), "factors": (1.7, 1.8)}}, "intervals need levels"),
        ({"intervals": {"levels": (0.5, 0.9), "factors": (1.7, 0.8)}}, "intervals need levels"),
        ({"intervals": {"levels": (0.5, 0.9), "factors": (-1.0, 0.8)}}, "intervals need levels"),
    ],
)
def test_impossible_cards(changes, message):
    """A card that cannot be true is refused, and the message names the field."""
    with pytest.raises(ValueError, match=message):
        _card(**changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not toml at all", "not readable TOML"),
        ('name = "a"', "lacks .'method', 'targets'"),
        (_card().to_toml().replace("method", "methods", 1), "unknown fields .'methods'"),
        (_card().to_toml().replace("format_version = 1", "format_version = 99"), "update xgapfill"),
    ],
)
def test_foreign_cards(content, message):
    """Text that is no card of this format is refused with a reason."""
    with pytest.raises(ValueError, match=message):
        Card.from_toml(content)


# files


def test_save_and_load(weights, tmp_path):
    """Arrays and card come back as they were saved, the card with the hash of the file."""
    file = weights.save(tmp_path / "new" / "demo-v1.2")
    found = load(file)
    assert file.name == "demo-v1.2.safetensors"
    assert replace(found.card, sha256="") == weights.card
    assert found.card.sha256 == found.sha256 == weights.sha256
    assert found == weights
    for name, array in weights.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    assert sorted(part.name for part in file.parent.iterdir()) == ["demo-v1.2.safetensors", "demo-v1.2.toml"]


@pytest.mark.parametrize("ending", ["", ".safetensors", ".toml"])
def test_any_spelling_of_the_path(weights, tmp_path, ending):
    """The path may be given bare, as the arrays' or as the card's file, to save and to load."""
    weights.save(f"{tmp_path}/demo{ending}")
    assert load(f"{tmp_path}/demo{ending}") == weights


def test_saving_twice_gives_the_same_bytes(weights, tmp_path):
    """The same weights always make the same file."""
    first, second = weights.save(tmp_path / "a"), weights.save(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_half_precision_is_read_as_float32(tmp_path):
    """Arrays of 16 bits, float16 or bfloat16, arrive as float32; whole numbers keep their type."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    values = torch.tensor([[1.5, -2.25, 3e8, 1.0]], dtype=torch.bfloat16)
    save_file(
        {"brain": values, "half": torch.tensor([0.5]).half(), "count": torch.tensor([3])}, tmp_path / "x.safetensors"
    )
    sha256 = store.hashlib.sha256((tmp_path / "x.safetensors").read_bytes()).hexdigest()
    (tmp_path / "x.toml").write_text(_card(sha256=sha256).to_toml())
    arrays = load(tmp_path / "x.safetensors").arrays
    assert {name: array.dtype for name, array in arrays.items()} == {"brain": "f4", "half": "f4", "count": "i8"}
    np.testing.assert_array_equal(arrays["brain"], values.float().numpy())


def test_damaged_file(weights, tmp_path):
    """A changed byte is found by the hash on the card."""
    file = weights.save(tmp_path / "demo")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"its card names .*damaged.*get both files again"):
        load(file)


def test_wrong_hash(weights, tmp_path):
    """A hash given by the user is compared with the file, and must be one."""
    file = weights.save(tmp_path / "demo")
    assert load(file, f"sha256:{weights.sha256.upper()}") == weights
    with pytest.raises(ValueError, match="but you gave"):
        load(file, "0" * 64)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        load(file, "abc")


def test_card_without_hash(weights, tmp_path):
    """A card that names no hash vouches for nothing."""
    file = weights.save(tmp_path / "demo")
    (tmp_path / "demo.toml").write_text(weights.card.to_toml())
    with pytest.raises(ValueError, match="its card names none"):
        load(file)


def test_missing_card(weights, tmp_path):
    """Arrays without a card are refused."""
    file = weights.save(tmp_path / "demo")
    (tmp_path / "demo.toml").unlink()
    with pytest.raises(ValueError, match=r"put demo.toml beside"):
        load(file)


@pytest.mark.parametrize("name", ["net.pt", "net.pkl", "net.ckpt"])
def test_pickles_are_never_opened(tmp_path, name):
    """Files that would be unpickled are refused unread, with the way out."""
    bomb = tmp_path / name
    bomb.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(ValueError, match=r"reads no pickles.*Weights\(card, arrays\).save"):
        load(bomb)


class _Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


def test_foreign_content(weights, tmp_path):
    """A file that only bears the name safetensors is refused even when its hash is right."""
    file = weights.save(tmp_path / "demo")
    file.write_bytes(b"<html>not found</html>")
    sha256 = store.hashlib.sha256(file.read_bytes()).hexdigest()
    (tmp_path / "demo.toml").write_text(replace(weights.card, sha256=sha256).to_toml())
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load(file)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e30, -1e10])
def test_absurd_numbers_are_refused(weights, tmp_path, number):
    """Arrays with numbers that are missing, infinite or huge are refused when they are loaded: file, array, number."""
    arrays = {**weights.arrays, "w": np.array([[0.0, 1.0], [number, number]], "float32")}
    wrong = Weights(weights.card, arrays)
    file = wrong.save(tmp_path / "wrong")
    with pytest.raises(
        ValueError, match=r"wrong.safetensors: array 'w' has 2 of 4 numbers .* the first .* at \[1, 0\]"
    ):
        load(file)
    with pytest.raises(ValueError, match="weights 'demo': array 'w' has 2 of 4 numbers"):
        load(wrong)


def test_numbers_that_single_precision_cannot_hold_are_refused(weights, tmp_path):
    """A double of 1e300 would be infinite; whole numbers may be large."""
    wrong = Weights(weights.card, {"w": np.array([1e300])})
    with pytest.raises(ValueError, match="numbers that are not finite"):
        load(wrong.save(tmp_path / "wrong"))
    whole = Weights(weights.card, {"seconds": np.array([2**40])})
    assert load(whole.save(tmp_path / "whole")) == whole


def test_unknown_names(tmp_path):
    """A name that is not shipped lists those that are; a path that is not there says so; other types are refused."""
    with pytest.raises(ValueError, match=r"no weights named 'nothing'; shipped are"):
        load("nothing")
    with pytest.raises(FileNotFoundError, match="no weights at"):
        load(tmp_path / "nothing.safetensors")
    with pytest.raises(TypeError, match="name, path, URL or Weights, found int"):
        load(3)


def test_weights_pass_through(weights):
    """Weights and handles are weights already; a hash given with them must be theirs."""
    assert load(weights) is weights
    assert load(handle(weights)) is weights
    with pytest.raises(ValueError, match="to have sha256"):
        load(weights, "0" * 64)


def test_repr_tells_a_human(weights):
    """The repr names what is filled, from what, how large it is and that its truth was simulated."""
    found = repr(weights)
    for part in ("demo", "psc_ilr1, psc_ilr2 given log10_chl", "8 numbers", "simulated truth only"):
        assert part in found


# shipped weights


def test_shipped_names_load(weights, tmp_path, monkeypatch):
    """A name inside the package loads from there and travels by its name."""
    monkeypatch.setattr(store, "FOLDER", tmp_path)
    weights.save(tmp_path / "demo")
    assert shipped() == ("demo",)
    found = load("demo")
    assert found.source == "demo"
    assert handle(found) == Handle("demo", weights.sha256, found.card.digest)


@pytest.mark.parametrize("name", shipped())
def test_what_is_shipped(name):
    """Each shipped file is whole, at most 16 MiB, and its card says name, licence, training data and ranges."""
    found = load(name)
    assert found.card.name == name
    assert (store.FOLDER / f"{name}.safetensors").stat().st_size <= 16 * 2**20
    assert all((found.card.licence, found.card.trained_on, found.card.created, found.card.version))
    assert set(found.card.ranges) == set(found.card.channels)
    assert all(np.isfinite(array).all() for array in found.arrays.values())


# travelling


def test_loaded_weights_pickle_small(weights, tmp_path):
    """Weights from a file travel as a handle: a small pickle, and the same weights at the other end."""
    big = Weights(weights.card, {"w": np.zeros((512, 512), "float32")})
    found = load(big.save(tmp_path / "big"))
    for traveller in (found, handle(found)):
        packed = pickle.dumps(traveller)
        assert len(packed) < 1000
        assert load(pickle.loads(packed)) is found


def test_weights_in_memory_pickle_whole(weights):
    """Weights that were never saved travel with their arrays, alone and inside a handle."""
    found = pickle.loads(pickle.dumps(weights))
    assert found == weights
    np.testing.assert_array_equal(found.arrays["w"], weights.arrays["w"])
    assert pickle.loads(pickle.dumps(handle(weights))).open() == weights


def test_one_load_a_process(weights, tmp_path, monkeypatch):
    """However many threads open a handle, the file is read once."""
    file = weights.save(tmp_path / "demo")
    traveller = handle(load(file))
    store._opened.clear()
    reads = []
    unpack = store._unpack
    monkeypatch.setattr(store, "_unpack", lambda *args: reads.append(1) or unpack(*args))
    found = []
    threads = [threading.Thread(target=lambda: found.append(traveller.open())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert all(one is found[0] for one in found)
    assert load(file) is found[0]


def test_handle_in_another_process(weights, tmp_path):
    """A handle opens in a fresh process that shares only the disk."""
    (tmp_path / "handle").write_bytes(pickle.dumps(handle(load(weights.save(tmp_path / "demo")))))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).open().sha256)"
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "handle")], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == weights.sha256


def test_changed_file_is_noticed(weights, tmp_path):
    """A handle refuses other arrays, and another card, than those it was made for."""
    file = weights.save(tmp_path / "demo")
    traveller = handle(load(file))
    store._opened.clear()
    replace(weights, card=_card(inflation=2.0)).save(file)
    with pytest.raises(ValueError, match=r"card of weights .* has changed"):
        traveller.open()
    store._opened.clear()
    Weights(weights.card, {"w": np.ones(3, "float32")}).save(file)
    with pytest.raises(ValueError, match="but you gave"):
        traveller.open()


def test_memory_is_bounded(weights, tmp_path):
    """A process that opens many weights keeps the last ones only."""
    for number in range(12):
        load(Weights(weights.card, {"w": np.full(2, number, "float32")}).save(tmp_path / str(number)))
    assert len(store._opened) == store._KEPT


def test_token_is_the_content(weights, tmp_path):
    """The dask token depends on arrays and card alone, not on where they are."""
    token = dask.base.tokenize
    found = load(weights.save(tmp_path / "demo"))
    assert token(found) == token(weights)
    assert token(handle(found)) == token(handle(load(weights.save(tmp_path / "copy"))))
    assert token(replace(weights, card=_card(inflation=2.0))) != token(weights)
    assert token(Weights(weights.card, {"w": np.ones(2, "float32")})) != token(weights)


# addresses


def test_url(weights, server):
    """Weights from a URL are fetched once, with their card, and verified; later loads use no network."""
    address, folder, asked = server
    weights.save(folder / "demo")
    found = load(f"{address}/demo.safetensors", weights.sha256)
    assert found == weights
    assert asked == ["/demo.safetensors", "/demo.toml"]
    store._opened.clear()
    assert load(f"{address}/demo.safetensors", weights.sha256) == weights
    assert len(asked) == 2


def test_url_with_its_hash_in_one_string(weights, server):
    """A URL that ends in its hash needs nothing else; a wrong one is refused."""
    address, folder, _ = server
    weights.save(folder / "demo")
    assert load(f"{address}/demo.safetensors#sha256={weights.sha256}") == weights
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        load(f"{address}/demo.safetensors#sha256=12")
    with pytest.raises(ValueError, match="hash"):
        load(f"{address}/demo.safetensors#sha256={'0' * 64}")


def test_url_goes_to_the_cache_folder(weights, server, tmp_path):
    """The files of a URL lie in the cache folder, and travel by the URL."""
    address, folder, _ = server
    weights.save(folder / "demo")
    url = f"{address}/demo.safetensors"
    found = load(url, weights.sha256)
    kept = sorted(file.name for file in (tmp_path / "cache" / "weights").iterdir())
    assert kept == [f"{weights.sha256}.safetensors", f"{weights.sha256}.toml"]
    assert found.source == url
    assert pickle.loads(pickle.dumps(found)) is found


def test_url_offline(weights, server, monkeypatch):
    """Offline, what is in the cache loads; anything else fails at once and says what to put where."""
    address, folder, asked = server
    weights.save(folder / "demo")
    url = f"{address}/demo.safetensors"
    monkeypatch.setenv("XGAPFILL_OFFLINE", "1")
    with pytest.raises(ConnectionError, match=f"XGAPFILL_OFFLINE.*{url}.*{weights.sha256}"):
        load(url, weights.sha256)
    assert asked == []
    monkeypatch.delenv("XGAPFILL_OFFLINE")
    load(url, weights.sha256)
    monkeypatch.setenv("XGAPFILL_OFFLINE", "1")
    store._opened.clear()
    assert load(url, weights.sha256) == weights


def test_url_with_the_wrong_content(weights, server, tmp_path):
    """A file whose hash is not the one given is refused and not kept."""
    address, folder, _ = server
    weights.save(folder / "demo")
    with pytest.raises(ValueError, match="hash"):
        load(f"{address}/demo.safetensors", "0" * 64)
    assert not list((tmp_path / "cache" / "weights").glob("*.safetensors"))


def test_url_repairs_the_cache(weights, server, tmp_path):
    """A damaged file or a card of other weights in the cache is fetched again."""
    address, folder, asked = server
    weights.save(folder / "demo")
    url = f"{address}/demo.safetensors"
    load(url, weights.sha256)
    for file in (tmp_path / "cache" / "weights").iterdir():
        file.write_text("damaged")
    store._opened.clear()
    assert load(url, weights.sha256) == weights
    assert len(asked) == 4


def test_url_that_is_not_there(weights, server):
    """A missing page or a silent server is a ConnectionError that says what to fetch by hand."""
    address, _, _ = server
    with pytest.raises(ConnectionError, match="could not fetch weights"):
        load(f"{address}/other.safetensors", weights.sha256)
    with pytest.raises(ConnectionError, match="could not fetch weights"):
        load("http://127.0.0.1:9/demo.safetensors", weights.sha256)


def test_url_needs_hash_and_ending():
    """A URL without a hash, or not of a safetensors file over http, is refused before any network."""
    with pytest.raises(ValueError, match="need their hash"):
        load("http://127.0.0.1/demo.safetensors")
    for url in ("http://127.0.0.1/demo.pt", "ftp://127.0.0.1/demo.safetensors"):
        with pytest.raises(ValueError, match="fetched from http"):
            load(url, "0" * 64)


def test_default_cache_folder(monkeypatch, tmp_path):
    """The setting comes before XGAPFILL_CACHE_DIR; without either the cache is the user's cache folder."""
    import pooch

    with xgapfill.set_options(cache_dir=str(tmp_path / "own")):
        assert store.cache_dir() == tmp_path / "own"
    assert store.cache_dir() == tmp_path / "cache"

    monkeypatch.delenv("XGAPFILL_CACHE_DIR")
    assert os.fspath(store.cache_dir()) == os.fspath(pooch.os_cache("xgapfill"))


def test_no_torch():
    """Loading weights needs neither torch nor network libraries."""
    code = "import sys, xgapfill.weights; print([name for name in ('torch', 'requests') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
    assert package.load is load
