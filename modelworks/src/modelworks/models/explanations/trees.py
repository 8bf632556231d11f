"""SHAP values of one decision tree, exactly.

A leaf is reached if every feature that is split on its path lets the row pass. A feature that is known passes or not;
of one that is not known, the share of the training rows passes that did so at these splits. So a leaf is a product of
a factor for each of its features, and the Shapley value of feature i of such a game is an integral of a polynomial:

    leaf value * (passes_i - share_i) * integral from 0 to 1 over t of the product over j != i of
    (1 - t) share_j + t passes_j

Gauss and Legendre's quadrature with n points integrates polynomials of degree 2 n - 1 exactly.

References
----------
Lundberg et al., From local explanations to global understanding with explainable AI for trees, 2020: the game.
Owen, Multilinear extensions of games, 1972: the integral.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tree:
    """The shape of a fitted tree; the root is node 0, and a leaf has -1 in place of its children.

    Attributes
    ----------
    left, right, feature : shape (n_nodes,)
    cover : training rows that reached a node, or the sum of their weights, shape (n_nodes,)
    value : of the leaves, shape (n_nodes, n_outputs)
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    cover: np.ndarray
    value: np.ndarray


class TreePaths:
    """The paths of a tree from its root to its leaves, as flat arrays: edges by slots, slots by leaves.

    A slot is a feature on the path of a leaf, with one or more edges of the path.

    Attributes
    ----------
    expected : mean of the leaves' values by their training rows, shape (n_outputs,)
    """

    def __init__(self, tree: Tree) -> None:
        node: list[int] = []
        side: list[bool] = []
        edge_start: list[int] = []
        feature: list[int] = []
        share: list[float] = []
        slot_start: list[int] = []
        values: list[np.ndarray] = []
        shares: list[float] = []
        for leaf, path in _walk(tree):
            slot_start.append(len(feature))
            values.append(tree.value[leaf])
            shares.append(tree.cover[leaf] / tree.cover[0])
            for name, edges in path.items():
                edge_start.append(len(node))
                feature.append(name)
                share.append(math.prod(each.share for each in edges))
                node += [each.node for each in edges]
                side += [each.is_left for each in edges]
        self._node, self._side = np.array(node, "int64"), np.array(side, bool)
        self._edge_start, self._slot_start = np.array(edge_start, "int64"), np.array(slot_start, "int64")
        self._feature, self._share = np.array(feature, "int64"), np.array(share)
        sizes = np.diff([*slot_start, len(feature)])
        self._value = np.repeat(np.array(values), sizes, axis=0)
        self._leaf = np.repeat(np.arange(len(sizes)), sizes)
        points, weights = np.polynomial.legendre.leggauss((max(sizes) + 1) // 2 or 1)
        self._points, self._weights = (points + 1) / 2, weights / 2  # from [-1, 1] to [0, 1]
        self.expected = np.array(shares) @ np.array(values)

    def contributions(self, goes_left: np.ndarray, n_columns: int) -> np.ndarray:
        """SHAP values; shape (n_rows, n_columns, n_outputs).

        Parameters
        ----------
        goes_left : whether a row goes left at a node, shape (n_rows, n_nodes)
        """
        found = np.zeros((len(goes_left), n_columns, self.expected.size))
        if not len(self._feature):
            return found  # a tree of one leaf
        passes = np.logical_and.reduceat(goes_left[:, self._node] == self._side, self._edge_start, axis=1)
        integral = np.zeros(passes.shape)
        for point, weight in zip(self._points, self._weights, strict=True):
            factor = (1 - point) * self._share + point * passes  # above 0: each side has training rows
            product = np.multiply.reduceat(factor, self._slot_start, axis=1)
            integral += weight * product[:, self._leaf] / factor
        of_slots = (passes - self._share) * integral
        for column in np.unique(self._feature):
            own = self._feature == column
            found[:, column] = of_slots[:, own] @ self._value[own]
        return found


@dataclass(frozen=True)
class _Edge:
    """A step of a path: at a node to one side, with the share of the node's training rows that goes there."""

    node: int
    is_left: bool
    share: float


def _walk(tree: Tree) -> Iterator[tuple[int, dict[int, list[_Edge]]]]:
    """Every leaf, with the edges of its path by feature."""
    waiting: list[tuple[int, dict[int, list[_Edge]]]] = [(0, {})]
    while waiting:
        node, path = waiting.pop()
        if tree.left[node] < 0:
            yield node, path
            continue
        for child, is_left in ((tree.left[node], True), (tree.right[node], False)):
            feature = int(tree.feature[node])
            edge = _Edge(node, is_left, tree.cover[child] / tree.cover[node])
            waiting.append((int(child), {**path, feature: [*path.get(feature, []), edge]}))
