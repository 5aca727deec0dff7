"""A driver for `test_resume.py`: audits in forked children that are killed, run side by side, or starved of disk.

Run as a program of its own, with nothing but imports done before it forks, so that torch is imported once and no thread
is lost in a fork. Prints one JSON document; asserts nothing itself.

    python tests/kills.py random KILLS SEED
    python tests/kills.py files|stages|signals|commands|callbacks ...
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import gc
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from helpers import (
    FIXTURES,
    names,
    small_audit,
    snapshot,
    untimed,
    use_figures_once,
    use_hasty_detection,
    use_light_machine,
    use_tiny_network,
)

from auditor import cli, gate, report
from auditor.errors import AuditorError
from auditor.experiment import resuming
from auditor.gate.run import Judged, Prepared
from auditor.pipeline import stages
from auditor.result import AuditResult
from auditor.review import apply
from auditor.system import interrupts
from auditor.system.checkpoint import Checkpoints
from auditor.system.ownership import PAGE_MARK
from auditor.system.progress import Progress, Update

TOGETHER = ("audit.json", "evidence.json", "planted.csv", "ranking.csv")
"""What is written as one; a reader goes by `audit.json`, which comes last."""
PROMISED = (*TOGETHER, "report.html", "verdict.json")
NOBODY = 65534
SIGNALS = {signal.SIGINT, signal.SIGTERM}
TRAIN, TRAIN_END, TEST = 12, 60, 4
"""Images a class, and where the test images of fixtures/digits begin."""


class Ground:
    """A folder with a data set, a cache and weights, and what an undisturbed audit of it gives."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data, self.out, self.cache = root / "data", root / "out", root / "cache"
        for path in sorted((FIXTURES / "digits").rglob("*.png")):
            if int(path.stem) < TRAIN or TRAIN_END <= int(path.stem) < TRAIN_END + TEST:
                target = self.data / path.relative_to(FIXTURES / "digits")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        torch.save({"conv1.weight": torch.zeros(1)}, root / "w.pth")
        self.before = snapshot(self.data)
        self.results: list[AuditResult] = []
        self.more: list[str] = []
        self.first = (self._here(), "")
        self.expected = self.told()
        gc.collect()
        gc.freeze()  # or a child's first collection would copy the memory of its parent
        self.clear()  # an audit of the same bytes into the same folder would find that nothing has changed
        before, start = _spent_by_children(), time.monotonic()
        self.second = self.run()
        self.work, self.seconds = _spent_by_children() - before, time.monotonic() - start

    def _here(self) -> int:
        """One audit in this process, so that its children find every module loaded; its result is kept."""
        real = stages.audit

        def kept(*arguments: Any, **options: Any) -> AuditResult:
            self.results.append(real(*arguments, **options))
            return self.results[-1]

        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(sys.stderr):
            patch.setattr(stages, "audit", kept)
            try:
                cli.main(self.words())
            except SystemExit as done:
                return int(done.code or 0)
            finally:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return 70

    def ready(self) -> None:
        """In a child: the stages are done already, only the files are to be written."""
        stages.audit = lambda *_, **__: self.results[0]  # type: ignore[assignment]

    def words(self, out: Path | None = None) -> list[str]:
        fixed = ["--weights", str(self.root / "w.pth"), "--cache", str(self.cache), "--image-size", "8"]
        few = ["--examples", "0", "--thumbnails", "3", "--epochs", "3"]
        return small_audit(self.data, out or self.out, *fixed, *few, *self.more)

    def start(self, *, out: Path | None = None, prepare: Callable[[], None] = lambda: None) -> int:
        """Begin an audit in a child process, which tells into a file below `self.root`."""
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the child is ready to be interrupted
        child = os.fork()
        if child:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            return child
        code = 70
        try:
            said = os.open(self.root / f"said-{os.getpid()}", os.O_WRONLY | os.O_CREAT, 0o666)
            os.dup2(said, 1)
            os.dup2(said, 2)
            signal.signal(signal.SIGTERM, interrupts.interrupt)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            prepare()
            cli.main(self.words(out))
        except SystemExit as done:
            code = int(done.code or 0)
        except KeyboardInterrupt:  # before the command took over, or after it had ended
            code = 130
        except BaseException as error:
            os.write(2, f"Traceback: {type(error).__name__}: {error}".encode())
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def end(self, child: int) -> tuple[int, str]:
        """Exit code (negative for a signal) and what it said."""
        _, status = os.waitpid(child, 0)
        said = self.root / f"said-{child}"
        text = said.read_text(errors="replace") if said.exists() else ""
        said.unlink(missing_ok=True)
        return os.waitstatus_to_exitcode(status), text

    def run(self, *, out: Path | None = None, prepare: Callable[[], None] = lambda: None) -> tuple[int, str]:
        return self.end(self.start(out=out, prepare=prepare))

    def told(self, out: Path | None = None) -> dict[str, bytes]:
        """Every promised file that lies there, without the seconds that it tells of."""
        out = out or self.out
        there = names(out) if out.exists() else []
        return {name: untimed(name, (out / name).read_bytes()) for name in there if name in PROMISED}

    def faults(self, *, cleaned: bool) -> list[str]:
        """What is wrong with the files that lie there now."""
        found = []
        if snapshot(self.data) != self.before:
            found.append("a file of the user's was changed")
        there = names(self.out) if self.out.exists() else []
        strangers = [n for n in there if n not in PROMISED]
        if cleaned and strangers:
            found.append(f"left behind: {strangers}")
        if cleaned and (self.cache / "checkpoints").exists():
            found.append("finished stages were left in the cache")
        if not cleaned and any(not n.startswith(".auditor") for n in strangers):
            found.append(f"strangers: {strangers}")
        now = self.told()
        found += [f"{name} differs" for name in now if now[name] != self.expected.get(name)]
        if cleaned and now.keys() != self.expected.keys():
            found.append(f"missing: {sorted(self.expected.keys() - now.keys())}")
        if "audit.json" in there:
            try:
                AuditResult.load(self.out)
            except AuditorError as error:
                found.append(str(error))
        return found

    def clear(self) -> None:
        for folder in (self.out, self.cache):
            shutil.rmtree(folder, ignore_errors=True)


def random_kills(ground: Ground, kills: int, seed: int) -> list[dict[str, Any]]:
    """Kill at random moments by each signal in turn; after every nine the same command runs to its end.

    A moment is a share of an undisturbed audit's work, not of its time: the machine may have much else to do.
    """
    rng = random.Random(seed)
    rounds = []
    ground.clear()
    for number in range(kills):
        which = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[number % 3]
        share = rng.uniform(0, 1)
        child = ground.start()
        _wait_until_done(child, share, ground)
        os.kill(child, which)
        code, said = ground.end(child)
        one: dict[str, Any] = {"signal": which.name, "code": code, "said": said, "share": share}
        one["faults"] = ground.faults(cleaned=code == 0)
        if number % 9 == 8 or number == kills - 1:
            again, said = ground.run()
            one["again"] = {"code": again, "said": said, "faults": ground.faults(cleaned=True)}
            if number % 2:
                shutil.rmtree(ground.cache)
        if "again" in one or code == 0:  # or the next ones would find that nothing has changed
            shutil.rmtree(ground.out)
        rounds.append(one)
    return rounds


def _spent_by_children() -> float:
    """Seconds of processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait_until_done(child: int, share: float, ground: Ground) -> None:
    """Until the child has done a share of an audit's work, or has ended."""
    if sys.platform != "linux":
        time.sleep(share * ground.seconds)
        return
    clock = (~child << 3) | 2  # what clock_getcpuclockid(3) gives: the processor time of all the child's threads
    running = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, child, running) is None and time.clock_gettime(clock) < share * ground.work:
        time.sleep(0.001)


def _die_at(count: int) -> Callable[[], None]:
    """The child kills itself before its n-th change of a file's name or n-th flush to the disk."""

    def prepare() -> None:
        left = [count]

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **options)

            return call

        os.fsync = counted(os.fsync)
        for name in ("replace", "rename", "unlink", "chmod"):
            setattr(Path, name, counted(getattr(Path, name)))
        shutil.rmtree = counted(shutil.rmtree)  # type: ignore[assignment]

    return prepare


def _earlier(ground: Ground) -> dict[str, bytes]:
    """Lay the whole files of an earlier audit, with another seed and other content, into the output folder."""
    ground.clear()
    ground.out.mkdir()
    result = ground.results[0]
    other = result.ranking.assign(suspicion=result.ranking["suspicion"] + 1)
    summary = {**result.summary, "audit_id": "0" * 16, "settings": {**result.summary["settings"], "seed": 99}}
    planted = result.planted.assign(average_influence=result.planted["average_influence"] + 1)
    AuditResult(summary, other, planted, {**result.evidence, "of": "an earlier audit"}).save(ground.out)
    (ground.out / "report.html").write_text(f'{PAGE_MARK}<h4>Seconds per stage</h4><dl class="facts"></dl>')
    return snapshot(ground.out)


def exact_kills(ground: Ground) -> list[dict[str, Any]]:
    """Kill at every single change of a file in turn, over the files of an earlier audit."""
    rounds: list[dict[str, Any]] = []
    for count in range(1, 100):
        old = _earlier(ground)

        def prepare(count: int = count) -> None:
            ground.ready()
            _die_at(count)()

        code, said = ground.run(prepare=prepare)
        now = ground.told()
        before = {name: untimed(name, data) for name, data in old.items()}
        whole = all(data in (before.get(name), ground.expected[name]) for name, data in now.items())
        # Where audit.json lies, all that it speaks of is as old as it, or as new.
        mixed = "audit.json" in now and len({now.get(name) == before[name] for name in TOGETHER}) > 1
        again = ground.run(prepare=ground.ready)
        rounds.append(
            {
                "code": code,
                "said": said,
                "whole": whole,
                "mixed": mixed,
                "again": again[0],
                "faults": ground.faults(cleaned=True),
            }
        )
        if code == 0:
            break
    return rounds


def stage_kills(ground: Ground) -> list[dict[str, Any]]:
    """Kill as soon as the n-th stage is finished; the same command then tells in its log what it took over."""
    rounds: list[dict[str, Any]] = []
    log = ground.root / "log"
    for count in range(1, 100):
        ground.clear()
        log.unlink(missing_ok=True)

        def prepare(count: int = count) -> None:
            real, left = Checkpoints.keep, [count]

            def keep(self: Checkpoints, stage: str, result: Any) -> None:
                real(self, stage, result)
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            Checkpoints.keep = keep  # type: ignore[method-assign]

        code, _ = ground.run(prepare=prepare)
        if code == 0:
            break
        kept = sorted(path.stem for path in (ground.cache / "checkpoints").glob("*/*.npz"))
        modes = sorted({oct(path.stat().st_mode & 0o777) for path in (ground.cache / "checkpoints").rglob("*/")})
        ground.more = ["--log-file", str(log)]
        again = ground.run()
        ground.more = []
        events = [json.loads(line) for line in log.read_text().splitlines()]
        rounds.append(
            {
                "code": code,
                "kept": kept,
                "modes": modes,
                "again": again,
                "faults": ground.faults(cleaned=True),
                "resumed": sorted(event["stage"] for event in events if event["event"] == "resumed"),
            }
        )
    return rounds


MOMENTS = (
    "open begins",
    "features begins",
    "features goes on",
    "reference begins",
    "reference goes on",
    "detection begins",
    "detection goes on",
    "train begins",
    "train goes on",
    "explain begins",
    "experiment begins",
    "experiment goes on",
    "result begins",
    "save",
    "judge",
    "keep",
    "write_report",
    "clear",
    "deliver",
)
"""Every stage of an audit with a gate, when it begins and when it has something to tell; then every kind of file."""
WRITING: dict[str, Any] = {
    "save": AuditResult,
    "judge": Prepared,
    "keep": gate,
    "write_report": report,
    "clear": Checkpoints,
    "deliver": Judged,
}
TRAININGS = ("head", "layers:layer4,fc", "full")
TUNED = ("maps begins", "maps goes on", "tuning begins", "tuning goes on")
"""Stages that there are only where detection rests on tuned features. They stand before its own."""
TUNED_SIGNALS = {"layers:layer4,fc": (signal.SIGINT, signal.SIGTERM), "full": (signal.SIGKILL,)}
"""What is tried in them, by training: each of the three signals once."""


def _die_in(moment: str, which: signal.Signals) -> Callable[[], None]:
    """The child gets the signal at a moment of its audit."""

    def prepare() -> None:
        stage_name, _, when = moment.partition(" ")
        if not when:
            owner, real = WRITING[moment], getattr(WRITING[moment], moment)

            def call(*arguments: Any, **options: Any) -> Any:
                os.kill(os.getpid(), which)
                return real(*arguments, **options)

            setattr(owner, moment, call)
            return
        real_stage = Progress.stage

        @contextlib.contextmanager
        def stage(self: Progress, name: str, title: str) -> Iterator[Update]:
            with real_stage(self, name, title) as update:
                if name == stage_name and when == "begins":
                    os.kill(os.getpid(), which)

                def told(done: int, total: int) -> None:
                    if name == stage_name and when == "goes on":
                        os.kill(os.getpid(), which)
                    update(done, total)

                yield told

        Progress.stage = stage  # type: ignore[method-assign]

    return prepare


def _stops(number: int, train: str) -> Iterator[tuple[str, signal.Signals]]:
    """The moments of an audit in their order, and the signal that comes there."""
    for place, moment in enumerate(MOMENTS):
        if moment == "detection begins":
            yield from ((tuned, which) for tuned in TUNED for which in TUNED_SIGNALS.get(train, ()))
        yield moment, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[(number + place) % 3]


def signals(ground: Ground) -> list[dict[str, Any]]:
    """One command after the other is stopped at the next moment of its audit, by each signal in turn, and the last one
    left alone: what is trained and which signal comes where goes round, until every signal was at every moment.
    """
    reference = ground.root / "reference"
    for path in sorted((FIXTURES / "digits" / "test").rglob("*.png"))[TEST::5]:
        target = reference / path.relative_to(FIXTURES / "digits" / "test")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    resuming.SAVE_EVERY = 0.0
    rounds = []
    for number, train in enumerate(TRAININGS):
        ground.more = ["--train", train, "--reference", str(reference), "--gate"]
        ground.clear()
        code, said = ground.run()
        ground.expected = ground.told()
        ground.clear()
        stopped = []
        for moment, which in _stops(number, train):
            end, words = ground.run(prepare=_die_in(moment, which))
            stopped.append(
                {
                    "moment": moment,
                    "signal": which.name,
                    "code": end,
                    "said": words,
                    "faults": ground.faults(cleaned=False),
                }
            )
        again = ground.run()
        rounds.append(
            {
                "train": train,
                "code": code,
                "said": said,
                "stopped": stopped,
                "again": again,
                "files": sorted(ground.expected),
                "faults": ground.faults(cleaned=True),
                "stages": list(json.loads((ground.out / "audit.json").read_text())["stages"]),
            }
        )
    return rounds


def commands(ground: Ground) -> list[dict[str, Any]]:
    """What comes after an audit is killed before every single change of a file, and then run again to its end."""
    ground.clear()
    ground.run()
    finished, decisions, work = ground.root / "finished", ground.root / "decisions.json", ground.root / "work"
    shutil.copytree(ground.out, finished)
    result = AuditResult.load(finished)

    def decide(rows: range, file: Path) -> None:
        chosen = [
            {
                "path": row["path"],
                "hash": result.summary["dataset"]["hashes"][row["path"]],
                "label": row["label"],
                "decision": ("keep", "drop", "unsure")[number % 3],
                "new_label": None,
                "time": "2026-01-01",
            }
            for number, row in enumerate(result.ranking.iloc[rows].to_dict("records"))
        ]
        head = {"schema_version": 1, "kind": "auditor-decisions", "audit_id": result.audit_id}
        file.write_text(json.dumps({**head, "decisions": chosen}), encoding="utf-8")

    earlier = ground.root / "earlier.json"
    decide(range(5), earlier)
    decide(range(5, 12), decisions)
    out, config = work / "out", work / "auditor.toml"
    told = ["--output", f"json={work / 'gate.json'}", "--output", f"junit={work / 'gate.xml'}"]
    laid = {}
    for kind, answers in (("report", None), ("review", earlier)):
        laid[kind] = ground.root / f"laid-{kind}"
        shutil.copytree(finished, out)
        (work / "gate.json").write_text('{"schema_version": 1, "kind": "auditor-verdict", "of": "an earlier gate"}')
        if answers:
            apply(out, answers)
        work.rename(laid[kind])
    kinds = {
        "report": ["report", str(out)],
        "gate": ["gate", str(out), *told],
        "gate --update-baseline": ["gate", str(out), "--baseline", str(work / "base.json"), "--update-baseline"],
        "gate --init": ["gate", str(out), "--init", "--config", str(config)],
        "review apply": ["review", "apply", str(out), str(decisions)],
        "review apply --format folder": ["review", "apply", str(out), str(decisions), "--format", "folder"],
    }
    real = Path.cwd()
    rounds = []
    for name, words in kinds.items():

        def prepare(words: list[str] = words, name: str = name) -> None:
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(laid["review" if name.startswith("review") else "report"], work)

        prepare()
        old = snapshot(work)
        ground.words = lambda out=None, words=words: words  # type: ignore[method-assign]
        code, said = ground.run()
        new = snapshot(work)
        one: dict[str, Any] = {"command": name, "code": code, "said": said, "kills": []}
        for count in range(1, 200):
            prepare()
            end, _ = ground.run(prepare=_die_at(count))
            now = snapshot(work)
            if end >= 0:
                one["undisturbed"] = end
                break
            after = ground.run()
            # What a killed writer left half-written stays under a hidden name, until the next audit in that folder.
            # The next review removes its own drafts. Those of ledger and certificate lie in the audit's folder.
            place = "out/.auditor-*.tmp" if name.startswith("review") else "*.auditor-*.tmp"
            drafts = {n for n in now if fnmatch.fnmatch(n, place)}
            one["kills"].append(
                {
                    "code": end,
                    "again": after[0],
                    "said": after[1],
                    "equal": {n: data for n, data in snapshot(work).items() if n not in drafts} == new,
                    "differs": sorted(n for n, data in (snapshot(work).items() ^ new.items()) if n not in drafts),
                    "halves": [n for n, data in now.items() if n in old | new and data not in (old.get(n), new.get(n))],
                    "strangers": [
                        n for n in now if n not in old | new and ".auditor-" not in n and not n.endswith(".lock")
                    ],
                    "data": snapshot(ground.data) == ground.before,
                }
            )
        if name.startswith("review"):
            prepare()
            ends = [ground.end(child) for child in [ground.start(), ground.start()]]
            one["at_once"] = {"ends": ends, "equal": snapshot(work) == new}
            prepare()
            limit = resource.RLIMIT_FSIZE
            end, _ = ground.run(prepare=functools.partial(resource.setrlimit, limit, (100, 100)))
            one["full"] = {"code": end, "equal": snapshot(work) == old, "again": ground.run()[0]}
        rounds.append(one)
    os.chdir(real)
    del ground.words  # the class's own again
    return rounds


def full_disk(ground: Ground) -> list[dict[str, Any]]:
    """No file may grow beyond a limit: the earlier audit's files stay, and with room the audit ends as ever."""
    rounds = []
    sizes = sorted(len(data) for name, data in snapshot(ground.out).items() if name != "report.html")
    for limit in (0, sizes[0] - 1, sizes[-1] - 1):
        old = _earlier(ground)

        def prepare(limit: int = limit) -> None:
            ground.ready()
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        code, said = ground.run(prepare=prepare)
        kept = snapshot(ground.out) == old
        again = ground.run(prepare=ground.ready)
        rounds.append(
            {
                "limit": limit,
                "code": code,
                "said": said,
                "kept": kept,
                "again": again[0],
                "faults": ground.faults(cleaned=True),
            }
        )
    return rounds


def read_only(ground: Ground) -> dict[str, Any]:
    """An output folder that this user may not write to."""
    ground.clear()
    ground.out.mkdir()
    (ground.out / "audit.json").write_text("of an earlier audit")

    def drop() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    ground.out.chmod(0o555)
    code, said = ground.run(prepare=drop)
    kept = snapshot(ground.out) == {"audit.json": b"of an earlier audit"}
    ground.out.chmod(0o755)
    return {"code": code, "said": said, "kept": kept}


def side_by_side(ground: Ground) -> dict[str, Any]:
    """Two audits at once into one folder, and two with one cache."""
    ground.clear()
    ends = [ground.end(child) for child in [ground.start(), ground.start()]]
    one_folder = {"ends": ends, "faults": ground.faults(cleaned=True)}
    ground.clear()
    other = ground.root / "other"
    ends = [ground.end(child) for child in [ground.start(), ground.start(out=other)]]
    # The report's title and sentences name the data set, not the folder it was written into.
    same = ground.told(other) == ground.expected
    return {"one_folder": one_folder, "one_cache": {"ends": ends, "faults": ground.faults(cleaned=True), "same": same}}


class _Callbacks:
    """A profiler: which Python function did which C function call? It can interrupt the first call of one pair."""

    def __init__(self, target: str = "") -> None:
        self.target, self.found = target, dict[str, int]()
        self._stack: list[Any] = []
        """What runs now, the innermost last; None stands for a Python function."""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            self._stack.append(argument)
        elif event == "call":
            caller = self._stack[-1] if self._stack else None
            self._stack.append(None)
            if caller is not None:
                self._note(caller, frame)
        elif self._stack:
            self._stack.pop()

    def _note(self, caller: Any, frame: FrameType) -> None:
        name = f"{getattr(caller, '__module__', None)}.{getattr(caller, '__qualname__', type(caller).__name__)}"
        code = frame.f_code
        pair = f"{name} -> {code.co_filename.rpartition('site-packages')[2]}:{code.co_name}"
        self.found[pair] = self.found.get(pair, 0) + 1
        if pair == self.target:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGTERM)


def callbacks(ground: Ground) -> dict[str, Any]:
    """An interrupt in every Python function that C code calls during an audit, one at a time.

    C code may take the interrupt for another error, or not expect one at all.
    """
    kept = ground.root / "pairs.json"

    def watch() -> None:
        profiler, leave = _Callbacks(), os._exit

        def told(code: int) -> None:
            sys.setprofile(None)
            kept.write_text(json.dumps(profiler.found))
            leave(code)

        os._exit = told  # type: ignore[assignment]
        sys.setprofile(profiler)

    ground.clear()
    ground.run(prepare=watch)
    rounds = []
    for pair in json.loads(kept.read_text()):
        ground.clear()
        code, said = ground.run(prepare=functools.partial(sys.setprofile, _Callbacks(pair)))
        rounds.append({"pair": pair, "code": code, "said": said, "faults": ground.faults(cleaned=code == 0)})
    return {"rounds": rounds}


def main(words: list[str]) -> None:
    torch.set_num_threads(1)
    use_tiny_network(pytest.MonkeyPatch())
    use_hasty_detection(pytest.MonkeyPatch())
    use_figures_once(pytest.MonkeyPatch())
    use_light_machine(pytest.MonkeyPatch())
    root = Path(tempfile.mkdtemp(prefix="auditor-kills-"))
    root.chmod(0o755)
    try:
        ground = Ground(root)
        document: dict[str, Any] = {"first": ground.first, "second": ground.second, "seconds": ground.seconds}
        if words[0] == "random":
            document |= {"random": random_kills(ground, int(words[1]), int(words[2]))}
        if "files" in words:
            document |= {
                "exact": exact_kills(ground),
                "disk": full_disk(ground),
                "read_only": read_only(ground),
                "side_by_side": side_by_side(ground),
            }
        if "stages" in words:
            document |= {"stages": stage_kills(ground)}
        if "commands" in words:
            document |= {"commands": commands(ground)}
        if "callbacks" in words:
            document |= callbacks(ground)
        if "signals" in words:  # last, for it audits otherwise than the ground was laid
            document |= {"signals": signals(ground)}
        print(json.dumps(document))
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
