"""Everything the running sandbox knows, in one object; one process and one event loop, so it needs no lock."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genfeed.sandbox.builtin import builtin_rows
from genfeed.sandbox.catalog import CatalogError, Model, build_models, make_model, read_rows
from genfeed.sandbox.faults import Faults
from genfeed.sandbox.files.store import Files
from genfeed.sandbox.files.uploads import Uploads
from genfeed.sandbox.keys import Keys
from genfeed.sandbox.limits import RateLimit, Window
from genfeed.sandbox.money.bills import Bills
from genfeed.sandbox.outputs.contract import Contracts
from genfeed.sandbox.queue.line import Line
from genfeed.sandbox.queue.names import app_of
from genfeed.sandbox.requestlog import RequestLog
from genfeed.sandbox.webhooks.delivery import Courier
from genfeed.sandbox.webhooks.signing import Signer

Stamp = tuple[Path | None, float]


@dataclass(slots=True)
class Sandbox:
    """The state. `base_url` has no slash at its end; `start_catalog` None means the built-in models."""

    base_url: str
    keys: Keys
    start_catalog: Path | None = None
    base_latency_ms: float = 0.0
    catalog_path: Path | None = None
    models: dict[str, Model] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    log: RequestLog = field(default_factory=RequestLog)
    windows: defaultdict[str, Window] = field(default_factory=lambda: defaultdict(Window))
    loaded: dict[Stamp, dict[str, Model]] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    line: Line = field(default_factory=Line)
    bills: Bills = field(default_factory=Bills)
    files: Files = field(default_factory=Files)
    uploads: Uploads = field(default_factory=Uploads)
    contracts: Contracts = field(default_factory=Contracts)
    courier: Courier = field(default_factory=Courier)
    signer: Signer = field(default_factory=Signer)
    answered: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    app_names: frozenset[str] | None = None

    def load_catalog(self, path: Path | None) -> None:
        """Offer the models of a file, or the built-in ones. Raises CatalogError, and then changes nothing."""
        self.models = dict(self._read(path))
        self.app_names = None
        self.catalog_path = path

    def reset(self) -> None:
        """Back to how the process started. What was loaded before is kept, so this costs no reading."""
        self.load_catalog(self.start_catalog)
        self.faults = Faults()
        self.log = RequestLog()
        self.windows.clear()
        self.keys.others.clear()
        self.line.close()
        self.courier.close()
        self.line, self.bills, self.courier = Line(), Bills(), Courier()
        self.files, self.uploads, self.answered = Files(), Uploads(), {}

    def apps(self) -> frozenset[str]:
        """The apps (owner/alias) that have any endpoint."""
        if self.app_names is None:
            self.app_names = frozenset(map(app_of, self.models))
        return self.app_names

    def clear_faults(self) -> None:
        """Switch every fault off and forget who called how often."""
        self.faults = Faults()
        self.windows.clear()

    def add_model(self, row: dict[str, Any]) -> Model:
        """Offer one more model. Raises CatalogError when it is there already or cannot be answered with."""
        model = make_model(row, base_url=self.base_url)
        if model.endpoint_id in self.models:
            raise CatalogError(f"{model.endpoint_id} is there already; patch it instead.")
        self.models[model.endpoint_id] = model
        self.app_names = None
        return model

    def remove_model(self, endpoint_id: str) -> None:
        """Take a model away from everywhere."""
        del self.models[endpoint_id]
        self.app_names = None

    def replace_model(self, row: dict[str, Any]) -> Model:
        """Put a changed row in the place of the model with its id."""
        model = make_model(row, base_url=self.base_url)
        self.models[model.endpoint_id] = model
        return model

    def admit(self, name: str, limit: RateLimit | None) -> int | None:
        """Count a call in the window `name`: None, or the seconds to wait."""
        return None if limit is None else self.windows[name].admit(limit)

    def latency_seconds(self) -> float:
        """How long every call is held up."""
        chosen = self.faults.latency_ms
        return (self.base_latency_ms if chosen is None else chosen) / 1000

    def _read(self, path: Path | None) -> dict[str, Model]:
        try:
            stamp: Stamp = (path, path.stat().st_mtime if path else 0.0)
        except OSError as error:
            raise CatalogError(f"The catalog {path} cannot be read: {error.strerror}.") from error
        if stamp not in self.loaded:
            rows = read_rows(path) if path else builtin_rows()
            self.loaded[stamp] = build_models(rows, base_url=self.base_url)
        return self.loaded[stamp]
