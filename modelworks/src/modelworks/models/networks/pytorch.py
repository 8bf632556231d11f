"""A network for tables in PyTorch."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from modelworks.models.networks.table import Rows, Shape, TableClassifier, TableNetwork, TableRegressor, Weights


class Layers(nn.Module):
    """Embeddings of all categories in one table, beside the numbers before the hidden layers."""

    def __init__(self, shape: Shape, settings: TableNetwork) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.n_codes, settings.embedding_width)
        width = shape.n_categorical * settings.embedding_width + shape.n_numbers
        hidden: list[nn.Module] = []
        for _ in range(settings.hidden_layers):
            hidden += [nn.Linear(width, settings.hidden_width), nn.ReLU(), nn.Dropout(settings.dropout)]
            width = settings.hidden_width
        self.hidden = nn.Sequential(*hidden, nn.Linear(width, shape.n_outputs))

    def forward(self, codes: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Logits or values, shape (n_rows, n_outputs), of a batch of rows."""
        # (n_rows, n_categorical) -> (n_rows, n_categorical * embedding_width), and the numbers beside it
        return self.hidden(torch.cat([self.embedding(codes).flatten(1), numbers], dim=1))


class PyTorchNetwork:
    """The layers on a GPU where there is one, with AdamW."""

    def __init__(self, shape: Shape, settings: TableNetwork, loss: nn.Module) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._threads = settings.threads or torch.get_num_threads()
        self._loss = loss
        self._steps = settings.random_state
        with self._seeded():
            self._layers = Layers(shape, settings).to(self._device)
        self._optimiser = torch.optim.AdamW(self._layers.parameters(), weight_decay=settings.weight_decay, fused=True)

    def learn(self, rows: Rows, target: np.ndarray, step_size: float) -> None:
        """One step of the optimiser; see `Network.learn`."""
        for group in self._optimiser.param_groups:
            group["lr"] = step_size
        self._layers.train()
        self._optimiser.zero_grad()
        with self._seeded():
            output = self._layers(*self._to_tensors(rows))
        expected = torch.from_numpy(target).to(self._device)
        self._loss(output if output.shape[1] > 1 else output[:, 0], expected).backward()
        self._optimiser.step()

    def forward(self, rows: Rows) -> np.ndarray:
        """Logits of each class, or a value; shape (n_rows, n_outputs)."""
        self._layers.eval()
        with torch.inference_mode():
            return self._layers(*self._to_tensors(rows)).cpu().numpy()

    def get_weights(self) -> Weights:
        """Copies of the weights, by name."""
        return {name: value.cpu().numpy().copy() for name, value in self._layers.state_dict().items()}

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights, by name."""
        self._layers.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})

    def _to_tensors(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        torch.set_num_threads(self._threads)
        return torch.from_numpy(rows.codes).to(self._device), torch.from_numpy(rows.numbers).to(self._device)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Random numbers of its own for each step; those of the process stay as they are."""
        self._steps += 1
        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(self._steps)
            yield


class PyTorchClassifier(TableClassifier):
    """A classifier whose network is PyTorch's."""

    def make_network(self, shape: Shape) -> PyTorchNetwork:
        return PyTorchNetwork(shape, self, nn.CrossEntropyLoss())


class PyTorchRegressor(TableRegressor):
    """A regressor whose network is PyTorch's."""

    def make_network(self, shape: Shape) -> PyTorchNetwork:
        return PyTorchNetwork(shape, self, nn.MSELoss())
