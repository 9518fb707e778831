"""IBM Quantum without a network: the real client library over a service of files.

What the library would send is decoded and simulated when its result is asked for. A job outlives
the process that submitted it, and requests fail as the test says.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from qiskit_ibm_runtime import IBMBackend, QiskitRuntimeService
from qiskit_ibm_runtime.decoders.defaults import DEFAULT_DECODERS
from qiskit_ibm_runtime.fake_provider import FakeQuitoV2
from qiskit_ibm_runtime.fake_provider.executor.run_quantum_program import run_quantum_program
from qiskit_ibm_runtime.models import QasmBackendConfiguration
from qiskit_ibm_runtime.options_models.simulator import SimulatorOptions
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

import compile.outages as outages
from compile import Compiled, Device, Executor, compile  # noqa: F401
from qsim import Circuit, Input

TOKEN = "s3cret-t0ken-of-nobody"


class FakeService(QiskitRuntimeService):
    """A service whose jobs are files.

    Attributes:
        before, after: errors that the next requests of a kind ("run", "jobs", "result") raise
            before they are served, and after.
        cut: changes the next result.
        sessions: "open" or "closed", by id.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before: defaultdict[str, list[BaseException]] = defaultdict(list)
        self.after: defaultdict[str, list[BaseException | Callable[[], Any]]] = defaultdict(list)
        self.requests: list[str] = []
        self.cut: list[Callable[[Any], Any]] = []
        self.sessions: dict[str, str] = {}
        folder.mkdir(exist_ok=True)

    def request(self, kind: str, serve: Callable[[], Any]) -> Any:
        self.requests.append(kind)
        if self.before[kind]:
            raise self.before[kind].pop(0)
        result = serve()
        if self.after[kind]:
            fault = self.after[kind].pop(0)
            if isinstance(fault, BaseException):
                raise fault
            fault()
        return result

    def ran(self) -> list[dict[str, Any]]:
        """All jobs that were ever accepted."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]

    def active_account(self) -> dict[str, str]:
        return {"token": TOKEN, "channel": "ibm_quantum_platform"}

    def _run(self, program_id: str, inputs: Any, options: Any = None, **more: Any) -> FakeJob:
        def serve() -> FakeJob:
            job_id = f"job{len(self.ran())}"
            kept = {key: value for key, value in options.items() if key != "backend"}
            record = {"id": job_id, "program": program_id, "inputs": inputs, "options": kept}
            record["session"] = more.get("session_id")
            (self.folder / f"{job_id}.json").write_text(json.dumps(record))
            return FakeJob(self, record)

        found: FakeJob = self.request("run", serve)
        return found

    def jobs(self, *, job_tags: list[str], limit: int | None) -> list[FakeJob]:  # type: ignore[override]
        found: list[FakeJob] = self.request(
            "jobs",
            lambda: [
                FakeJob(self, record)
                for record in self.ran()
                if set(job_tags) <= set(record["options"]["job_tags"])
            ],
        )
        return found

    def job(self, job_id: str) -> FakeJob:  # type: ignore[override]
        return next(FakeJob(self, record) for record in self.ran() if record["id"] == job_id)

    def _get_api_client(self, instance: str | None = None) -> Any:
        def create(*_: Any) -> dict[str, str]:
            name = f"session{len(self.sessions)}"
            self.sessions[name] = "open"
            return {"id": name}

        def close(name: str) -> None:
            self.request("close", lambda: self.sessions.update({name: "closed"}))

        return SimpleNamespace(create_session=create, close_session=close, cancel_session=close)


class FakeJob:
    def __init__(self, service: FakeService, record: dict[str, Any]) -> None:
        self.service, self.record = service, record

    def job_id(self) -> str:
        return str(self.record["id"])

    def status(self) -> str:
        return str(self.record.get("status", "DONE"))

    def result(self) -> Any:
        return self.service.request("result", self._result)

    def _result(self) -> Any:
        inputs = self.record["inputs"]
        converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS[inputs["schema_version"]]
        program, _ = converter.decoder(converter.model.model_validate(inputs))
        for item in program.items:
            if hasattr(item, "samplex"):
                item.samplex.finalize()
        seed = int(self.job_id().removeprefix("job")) + 1
        raw = run_quantum_program(
            FakeQuitoV2(), program, options=SimulatorOptions(seed_simulator=seed)
        )
        result = reduce(
            lambda value, decoder: decoder.decode(value) if decoder.is_applicable(value) else value,
            DEFAULT_DECODERS["executor"],
            raw,
        )
        return self.service.cut.pop(0)(result) if self.service.cut else result


def cloud_device(service: FakeService) -> Device:
    """A real device, as far as the client library can tell: Quito."""
    snapshot = FakeQuitoV2()
    properties = snapshot.properties().to_dict()
    status = {
        "backend_name": "ibm_quito",
        "backend_version": "1.0.0",
        "state": True,
        "status": "active",
        "length_queue": 0,
        "message": "",
    }
    api = SimpleNamespace(
        backend_properties=lambda *_, **__: properties, backend_status=lambda *_: status
    )
    configuration = {**snapshot._get_conf_dict_from_json(), "backend_name": "ibm_quito"}
    backend = IBMBackend(
        QasmBackendConfiguration.from_dict(configuration), service, api, instance="crn:nobody"
    )
    return Device(backend)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeService:
    monkeypatch.setattr(outages, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.chdir(tmp_path)
    return FakeService(tmp_path / "server")


@pytest.fixture
def cloud(service: FakeService) -> Device:
    return cloud_device(service)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """<Z> of both qubits is cos(input)."""
    device = cloud_device(FakeService(tmp_path_factory.mktemp("server")))
    return compile(Circuit(2).rx(Input(0), 0).cx(0, 1), device)
