"""A pre-trained transformer that is fine-tuned, with a new layer for the classes."""

from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_arrays
from safetensors.torch import save
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import nn

from modelworks.errors import ConfigError
from modelworks.models.encoders.transformer import load
from modelworks.progress import track


class FineTunedClassifier(ClassifierMixin, BaseEstimator):
    """A network of tokens and the other columns, fine-tuned in all its layers.

    The last `max_tokens` columns are tokens, with gaps after the last one of a row. Its state is an array of bytes,
    in the format safetensors; only the architecture is read from the folder of weights.

    Parameters
    ----------
    weights, weights_revision, max_tokens : of the network to start from, as `find_folder` takes them
    epochs : passes over the rows
    step_size : of AdamW, for the network; that of the new layer is 20 times as large
    batch_rows : rows of a step
    threads : 0: as many as there are cores
    n_documents : how many of the features are texts; one is wanted
    """

    def __init__(
        self,
        weights: str,
        weights_revision: str = "",
        max_tokens: int = 128,
        epochs: int = 3,
        step_size: float = 5e-5,
        batch_rows: int = 32,
        threads: int = 1,
        random_state: int = 0,
        n_documents: int = 1,
    ) -> None:
        self.weights = weights
        self.weights_revision = weights_revision
        self.max_tokens = max_tokens
        self.epochs = epochs
        self.step_size = step_size
        self.batch_rows = batch_rows
        self.threads = threads
        self.random_state = random_state
        self.n_documents = n_documents

    def fit(self, X: np.ndarray, y: np.ndarray) -> "FineTunedClassifier":
        if self.n_documents != 1:
            raise ConfigError(f"[model] type = 'fine_tuned' reads one text, and {self.n_documents} features are texts")
        self.classes_, target = np.unique(y, return_inverse=True)
        others = X[:, : -self.max_tokens]
        known = ~np.isnan(others).all(axis=0)
        self.means_ = np.where(known, np.nanmean(np.where(known, others, 0), axis=0), 0.0)
        scales = np.nanstd(np.where(known, others, 0), axis=0)
        self.scales_ = np.where(scales > 0, scales, 1.0)
        with torch.random.fork_rng([]):  # random numbers of its own; those of the process stay as they are
            torch.manual_seed(self.random_state)
            network = self._build(pretrained=True)
            self._learn(network, X, torch.from_numpy(target))
        self.network_ = np.frombuffer(save({name: each.cpu() for name, each in network.state_dict().items()}), "uint8")
        self._network = network.eval()
        return self

    def _learn(self, network: nn.ModuleDict, X: np.ndarray, target: torch.Tensor) -> None:
        optimiser = torch.optim.AdamW([
            {"params": network["encoder"].parameters(), "lr": self.step_size},
            {"params": network["head"].parameters(), "lr": 20 * self.step_size},
        ])
        n_steps = self.epochs * -(-len(X) // self.batch_rows)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, n_steps)
        network.train()
        epochs = range(self.epochs)
        batches = (rows for _ in epochs for rows in torch.split(torch.randperm(len(X)), self.batch_rows))
        for rows in track(batches, "fine-tuning", "batches", n_steps):
            optimiser.zero_grad()
            loss: Any = nn.functional.cross_entropy(self._run(network, X[rows.numpy()]), target[rows])
            loss.backward()
            optimiser.step()
            schedule.step()

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Shape (n_rows, n_classes)."""
        if getattr(self, "_network", None) is None:
            network = self._build(pretrained=False)
            network.load_state_dict(load_arrays(self.network_.tobytes()))
            self._network = network.eval()
        lengths = np.argsort((~np.isnan(X[:, -self.max_tokens :])).sum(axis=1), kind="stable")
        probability = np.empty((len(X), len(self.classes_)))
        with torch.inference_mode():
            for start in range(0, len(X), self.batch_rows):
                rows = lengths[start : start + self.batch_rows]
                scores = self._run(self._network, X[rows]).double()
                probability[rows] = torch.softmax(scores, dim=1).numpy()
        return probability

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The most likely class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _build(self, *, pretrained: bool) -> nn.ModuleDict:
        from transformers import AutoConfig, AutoModel

        untyped: Any = AutoModel
        if self.threads:
            torch.set_num_threads(self.threads)
        config = load(AutoConfig, self.weights, self.weights_revision)
        encoder = (
            load(AutoModel, self.weights, self.weights_revision, use_safetensors=True)
            if pretrained
            else untyped.from_config(config, trust_remote_code=False)
        )
        head = nn.Linear(config.hidden_size + len(self.means_), len(self.classes_))
        return nn.ModuleDict({"encoder": encoder, "head": head})

    def _run(self, network: nn.ModuleDict, X: np.ndarray) -> torch.Tensor:
        """Scores of the classes, shape (n_rows, n_classes)."""
        tokens = X[:, -self.max_tokens :]
        n_used = max(int((~np.isnan(tokens)).sum(axis=1).max()), 1)
        mask = torch.from_numpy(~np.isnan(tokens[:, :n_used])).long()
        mask[mask.sum(dim=1) == 0, 0] = 1  # a null is read as one empty token
        numbers = torch.from_numpy(np.nan_to_num(tokens[:, :n_used]).astype("int64"))
        layer = network["encoder"](input_ids=numbers, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1)
        mean = (layer * weights).sum(dim=1) / weights.sum(dim=1)
        others = np.nan_to_num((X[:, : -self.max_tokens] - self.means_) / self.scales_).astype("float32")
        scores: torch.Tensor = network["head"](torch.cat([mean, torch.from_numpy(others)], dim=1))
        return scores

    def __getstate__(self) -> dict[str, Any]:
        # The bytes are enough to build the network anew.
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_network"}
