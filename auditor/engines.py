"""The contract of the influence engines: their names, and what each must declare. Neither torch nor pyDVL is loaded.

An engine is one file and one registration. The file holds a function `open_engine(problem, damping, options)` that
returns an `auditor.influence.InfluenceEngine`. The registration is an `EngineKind`, given in one of three ways:

- in this package: one entry of the table `OWN`;
- in another package: an entry point of the group `auditor.engines` that names an `EngineKind`;
- in a program: a call of `register_engine`.

The settings, the command line and `auditor.influence.engine` then know the engine by its name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from auditor.errors import ConfigError, EngineError
from auditor.system.plugins import Plugins, source_hash

GROUP = "auditor.engines"

HEAD, LAYERS, FULL = "head", "layers", "full"
"""What can be trained: a linear head, some layers of a network with the head, or the whole network."""

Listener = Callable[[str, int, int], None]
"""Called as `listener(description, done, total)`. `total` is an upper bound where the end is not known."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is to run.

    Attributes
    ----------
    device
        A torch device such as `cpu` or `cuda`.
    seed
        Seed of everything the engine draws at random.
    listener
        Called during long solves; None where nobody listens.
    """

    device: str = "cpu"
    seed: int = 0
    listener: Listener | None = None


@dataclass(frozen=True)
class EngineSize:
    """The size of a problem, as far as memory depends on it.

    Attributes
    ----------
    n_parameters
        Trained parameters P.
    rank
        Rank of the curvature, or an upper bound of it.
    width
        Bytes of one number in the working precision: 8 for a head, 4 or 8 for a network.
    """

    n_parameters: int
    rank: int
    width: int = 8


@dataclass(frozen=True)
class Memory:
    """Memory that an engine takes.

    Attributes
    ----------
    n_bytes
        How much.
    what
        What fills it, as the subject of a sentence: `the dense Hessian of 1026 parameters`.
    hint
        What to do where there is too little.
    """

    n_bytes: float
    what: str
    hint: str = "choose --engine auto"


Opener = Callable[..., object]
"""`open_engine(problem, damping, options)` -> `auditor.influence.InfluenceEngine`, where `problem` is a `HeadProblem`
or a `NetworkProblem`, `damping` a float above 0 and `options` an `EngineOptions`."""

Needs = Callable[[EngineSize], Memory | None]
"""Says what an engine takes of the memory for a problem of some size; None where that is not worth a check."""


@dataclass(frozen=True)
class EngineKind:
    """One engine, as its registration declares it.

    Functions may be given as `package.module:function`. They are then imported when the engine is first used.

    Attributes
    ----------
    name
        What the user writes after `--engine`.
    meaning
        What the engine does, in one line.
    open
        Makes the engine for a problem.
    needs
        Says what it takes of the memory; None where that is not worth a check.
    serves
        Which of `head`, `layers` and `full` it can answer for.
    refusal, hint
        Why it does not serve the rest, and what to choose instead. `{train}` stands for what is to be trained.
    exact
        True when it solves with the exact Hessian of a head, as `auto` does. Rows of the influence matrix then come
        from `auto`, which is faster.
    """

    name: str
    meaning: str
    open: Opener | str
    needs: Needs | str | None = None
    serves: tuple[str, ...] = (HEAD, LAYERS, FULL)
    refusal: str = "does not serve train '{train}'"
    hint: str = "choose --engine auto"
    exact: bool = False

    def check_train(self, train: str) -> None:
        """Refuse what the engine does not serve.

        Parameters
        ----------
        train
            The setting: `head`, `full` or `layers:NAME,...`.

        Raises
        ------
        ConfigError
            When the engine does not serve it.
        """
        if train.partition(":")[0] not in self.serves:
            raise ConfigError(f"engine {self.name} {self.refusal.format(train=train)}", hint=self.hint)

    def opener(self) -> Opener:
        """The function `open`, imported where it was given by name."""
        return self._imported(self.open)

    def memory(self, size: EngineSize) -> Memory | None:
        """What the engine takes of the memory for a problem of this size; None where that is not worth a check."""
        found: Memory | None = self._imported(self.needs)(size) if self.needs else None
        return found

    def _imported(self, function: Callable[..., Any] | str) -> Callable[..., Any]:
        if not isinstance(function, str):
            return function
        module, _, name = function.partition(":")
        try:
            found: Callable[..., Any] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            if isinstance(error, ModuleNotFoundError) and error.name == "pydvl":
                raise EngineError(
                    f"the engine '{self.name}' is pyDVL's, which is not installed",
                    hint=f"{adding_pydvl()}, or choose --engine auto",
                ) from error
            raise EngineError(
                f"the engine '{self.name}' cannot be imported from {function}: {error}",
                hint="repair the installation, or choose --engine auto",
            ) from error
        return found


def adding_pydvl() -> str:
    """The command that adds pyDVL to the Python and the numpy of this installation.

    pyDVL 0.10 asks for numpy below 2, which has no build for Python 3.13. Its influence functions work with later ones,
    and need of its requirements only pyDeprecate that this package does not bring.
    """
    if importlib.metadata.version("numpy").startswith("1."):
        return "pip install 'pydvl[influence]>=0.10,<0.11'"
    return "pip install pyDeprecate and then pip install --no-deps 'pydvl>=0.10,<0.11'"


def require_pydvl(what: str) -> None:
    """Refuse what pyDVL is needed for, where pyDVL is not installed.

    Parameters
    ----------
    what
        The option that needs it, as the user writes it.

    Raises
    ------
    EngineError
    """
    if importlib.util.find_spec("pydvl") is None:
        raise EngineError(f"{what} needs pyDVL, which is not installed", hint=f"{adding_pydvl()}, or leave out {what}")


_PYDVL = "auditor.influence.pydvl"

OWN = (
    EngineKind(
        "auto",
        "ours: the exact Hessian, in closed form or by conjugate gradient, whichever is faster",
        "auditor.influence.auto:open_engine",
        exact=True,
    ),
    EngineKind(
        "cg",
        "pyDVL's conjugate gradient, one solve at a time",
        f"{_PYDVL}.cg:open_engine",
        exact=True,
    ),
    EngineKind(
        "direct",
        "pyDVL's dense Hessian, factored once",
        f"{_PYDVL}.direct:open_engine",
        f"{_PYDVL}.direct:needs",
        serves=(HEAD, LAYERS),
        refusal="builds a dense Hessian: with the 11 million parameters of train '{train}' it takes 2.7 PiB",
        hint="choose --engine auto, cg or nystroem, or --train head",
        exact=True,
    ),
    EngineKind(
        "nystroem",
        "pyDVL's low-rank factor of the Hessian from random directions",
        f"{_PYDVL}.low_rank:open_nystroem",
        f"{_PYDVL}.low_rank:needs",
    ),
    EngineKind(
        "arnoldi",
        "pyDVL's low-rank factor of the Hessian from its largest eigenvalues",
        f"{_PYDVL}.low_rank:open_arnoldi",
        f"{_PYDVL}.low_rank:needs",
    ),
    EngineKind(
        "lissa",
        "pyDVL's series of Hessian products on batches of points",
        f"{_PYDVL}.lissa:open_engine",
    ),
    EngineKind(
        "ekfac",
        "pyDVL's Kronecker-factored approximation of the Hessian",
        f"{_PYDVL}.ekfac:open_engine",
        serves=(HEAD,),
        refusal="factors linear layers only, and train is '{train}'",
        hint="choose --engine auto, or --train head",
    ),
    EngineKind(
        "ihm",
        "pyDVL's mean of the inverses of each point's own curvature",
        f"{_PYDVL}.ihm:open_engine",
        f"{_PYDVL}.ihm:needs",
    ),
)
"""This package's engines, in the order they are offered."""

_others: Plugins[EngineKind] = Plugins(GROUP, "engine", [kind.name for kind in OWN])


def names() -> tuple[str, ...]:
    """Every engine that can be asked for: ours, then those from elsewhere by name."""
    return (*(kind.name for kind in OWN), *_others.names())


def known(name: str) -> bool:
    """Whether there is an engine of this name. Other packages are asked only where the name is none of ours."""
    return any(kind.name == name for kind in OWN) or name in _others.names()


def kind(name: str) -> EngineKind:
    """The declaration of one engine.

    Raises
    ------
    EngineError
        When there is none of that name.
    ConfigError
        When its package cannot be imported, or declares something else.
    """
    for own in OWN:
        if own.name == name:
            return own
    if not known(name):
        raise EngineError(f"there is no engine '{name}'", hint="choose one of " + ", ".join(names()))
    found: object = _others.get(name)
    if not isinstance(found, EngineKind):
        raise ConfigError(
            f"the engine '{name}' is declared by a {type(found).__name__}, which is no EngineKind",
            hint="name an auditor.engines.EngineKind in its entry point, or choose --engine auto",
        )
    return found


def register_engine(engine: EngineKind) -> contextlib.ExitStack:
    """Add an engine for this process.

    Returns
    -------
    A context that removes it at its end. Drop it to keep the addition.

    Raises
    ------
    ConfigError
        When there is an engine of that name already.
    """
    return _others.register(engine.name, engine)


def remove_engine(name: str) -> None:
    """Take away what `register_engine` added."""
    _others.remove(name)


def code(name: str) -> str:
    """What tells two versions of an engine's code apart, for work that is kept from one run to the next.

    It is empty for our own engines: the version of this package covers them. For others it is the sha256 of the file
    that holds the engine's opener. Where that file cannot be read, every call answers differently, so that no kept work
    is taken over.
    """
    if any(own.name == name for own in OWN):
        return ""
    return source_hash(kind(name).opener())
