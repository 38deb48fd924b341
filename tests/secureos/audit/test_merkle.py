"""Merkle trees, against the definition in RFC 6962 and its published test vectors."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secureos.audit.merkle import Frontier, included, inclusion_path

# The leaves and roots of the Certificate Transparency reference tests.
LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def plain_root(leaves):
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + plain_root(leaves[:k]) + plain_root(leaves[k:])).digest()


def root_of(leaves):
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def test_the_published_roots():
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [root_of(LEAVES[: size + 1]).hex() for size in range(8)] == ROOTS


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_any_tree_is_as_the_definition_says(leaves):
    assert root_of(leaves) == plain_root(leaves)


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40), st.data())
def test_a_path_proves_its_leaf_at_its_place_and_nothing_else(leaves, data):
    index, root = data.draw(st.integers(0, len(leaves) - 1)), root_of(leaves)
    path = inclusion_path(leaves, index)
    assert included(leaves[index], index, len(leaves), path=path, root=root)
    assert not included(leaves[index] + b"x", index, len(leaves), path=path, root=root)
    assert not included(leaves[index], index, len(leaves), path=[*path, root], root=root)
    assert not included(leaves[index], index, len(leaves), path=path, root=bytes(32))
    if path:
        step = data.draw(st.integers(0, len(path) - 1))
        assert not included(leaves[index], index, len(leaves), path=path[:step] + path[step + 1 :], root=root)
        other = [*path[:step], bytes(32), *path[step + 1 :]]
        assert not included(leaves[index], index, len(leaves), path=other, root=root)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_leaf_that_is_not_there(index):
    assert not included(b"", index, 3, path=[], root=bytes(32))
    with pytest.raises(IndexError, match="there is no leaf"):
        inclusion_path([b"a", b"b", b"c"], index)


def test_a_copy_goes_its_own_way():
    tree = Frontier()
    tree.append(b"a")
    other = tree.copy()
    other.append(b"b")
    assert (tree.size, tree.root()) == (1, plain_root([b"a"]))
    assert (other.size, other.root()) == (2, plain_root([b"a", b"b"]))
