"""Half a month of three pipelines, in a real Prometheus.

Every run is a real one, on a PostgreSQL, under a clock that is moved on from day to day, and pushes to a real
Pushgateway. What the gateway holds after each run is what a Prometheus would have scraped until the next one: it is
written down for those hours and read into a Prometheus by promtool. So half a month takes half a minute.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from refit.core.addresses import file_url
from refit.core.memory_limit import memory_limit_bytes
from refit.demo.postgres import on_database
from tests.faults.case import Case, edited, trust
from tests.faults.test_metrics import kill_first
from tests.fixtures import loans
from tests.fixtures.calls import call
from tests.fixtures.forked import Done, fork
from tests.fixtures.moved_clock import move_clock, write
from tests.fixtures.postgres import execute
from tests.fixtures.programs import free_place, program, running
from tests.fixtures.prometheus import Prometheus
from tests.fixtures.pushgateway import Gateway, served

FIRST_DAY, LAST_DAY = 43, 60
VALUES: Final = {
    "pipeline": "loans",
    "score": "neg_log_loss",
    "check": "neg_log_loss max_loss against champion",
}
"""Of the dashboards' variables."""
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
SAMPLED_SECONDS: Final = 2 * HOUR
"""Between two samples; the server takes one as standing for a little longer."""
NO_DATABASE: Final = "postgresql://nobody@127.0.0.1:1/nothing"
GATE: Final = {"gate": [{"score": "neg_log_loss", "max_loss": 0.02}, {"score": "roc_auc", "min": 0.6}]}
LOANS: Final = edited(
    schedule={"cron": "0 5 * * *"},
    columns={"amount": {"max": 50}},
    on_bad_row={"max_fraction": 0.1},
    evaluate=GATE,
    slo={"max_age": "3d"},
)
STRICT: Final = edited(LOANS, evaluate={"gate": [{"score": "neg_log_loss", "max_loss": 0.0}]})
BY_HAND: Final = edited(LOANS, publish={"approval": "manual"})
CHURN: Final = edited(LOANS, name="churn", schedule={"cron": "0 5 * * 4"}, slo={"max_age": "10d"})
FRAUD: Final = edited(LOANS, name="fraud", schedule=None, slo=None)


@dataclass
class History:
    """What happens, day by day, and what the Pushgateway holds in between.

    Attributes:
        ended: How each run ended.
        scraped: Moments and what was there to scrape from then on.
    """

    case: Case
    gateway: Gateway
    now: float = 0.0
    ended: list[Done] = field(default_factory=list)
    scraped: list[tuple[float, list[str]]] = field(default_factory=list)

    def run(self, file: bytes = LOANS, **how: Any) -> Done:
        """A run has ended."""
        done = self.case.run(days=None, file=file, begin=partial(_begin, self._clock, self._container), **how)
        self.ended.append(done)
        self._scrape()
        return done

    def call(self, *words: str) -> None:
        """A person has typed a command."""
        asked = _Asked((*words, "--store", self.case.url), self.case.settings, self._clock)
        process, _ = fork(_call, asked)
        process.join()
        assert process.exitcode == 0, words
        self._scrape()

    def day(self, day: float) -> None:
        """It is five in the morning of that day."""
        self.now = loans.at(day).timestamp() + 5 * HOUR
        write(self._clock, self.now - time.time())

    def _held(self) -> list[str]:
        """What there is to scrape."""
        with urlopen(f"{self.gateway.url}/metrics", timeout=5) as answer:  # noqa: S310  our own
            lines = answer.read().decode().splitlines()
        return [line for line in lines if line.startswith("refit_")]

    @property
    def _clock(self) -> Path:
        return self.case.scratch / "offset"

    @property
    def _container(self) -> Path:
        """The files of the kernel that tell its limit."""
        limit = self.case.scratch / "container" / "sys/fs/cgroup/memory.max"
        if not limit.exists():
            limit.parent.mkdir(parents=True)
            limit.write_text(str(512 << 20))
        return self.case.scratch / "container"

    def _scrape(self) -> None:
        self.scraped.append((self.now, self._held()))
        self.now += 60.0  # what is typed next is typed later

    @property
    def start(self) -> float:
        return self.scraped[0][0]

    @property
    def end(self) -> float:
        """Some hours after the last run."""
        return self.scraped[-1][0] + 6 * HOUR

    def openmetrics(self) -> Iterator[str]:
        """Each state again and again until the next one."""
        states = [*self.scraped, (self.end, [])]
        for (start, lines), (until, _) in pairwise(states):
            at = start
            while at < until:
                yield from (f"{line} {at:.3f}\n" for line in lines)
                at += SAMPLED_SECONDS
        yield "# EOF\n"


@dataclass(frozen=True)
class _Asked:
    words: tuple[str, ...]
    settings: dict[str, str]
    clock: Path


def _begin(clock: Path, container: Path) -> None:
    """Another day, in a container whose memory is limited."""
    move_clock(clock)
    memory_limit_bytes.__defaults__ = (container,)


def _call(asked: _Asked, _: Connection) -> None:
    os.environ.update(asked.settings)
    move_clock(asked.clock)
    called = call(*asked.words)
    sys.stderr.write(called.err)
    sys.exit(called.code)


def live(history: History) -> None:
    """Promotions and refusals; outages, bad rows, a kill; approval by hand; a rollback and its end.

    At the end loans are well, churn fails and is too old, and fraud waits for a person.
    """
    for day in range(FIRST_DAY, LAST_DAY):
        history.day(day)
        for happens in LOANS_DAYS.get(day, (History.run,)):
            happens(history)
        for happens in OTHER_DAYS.get(day, ()):
            happens(history)


def _outage(history: History) -> None:
    history.run(dsn=NO_DATABASE)


def _killed_once(history: History) -> None:
    flag = history.case.scratch / f"killed-{history.now}"
    history.run(inject=partial(kill_first, flag, "train.json"))


def _spoiled(share: int, history: History) -> None:
    """One of so many rows of the last day breaks the contract."""
    day = loans.at((history.now - loans.START.timestamp()) / DAY - 1)
    where = f"applied_at > '{day.isoformat()}' AND loan_id % {share} = 0"
    history.case.sql(f"UPDATE loans SET amount = 99 WHERE {where}")


def _mended(history: History) -> None:
    history.case.sql("UPDATE loans SET amount = 1 WHERE amount = 99")


def _waits(history: History) -> None:
    history.run(BY_HAND)


def _promoted_by_hand(history: History) -> None:
    done = history.ended[-1]
    assert done.outcome is not None
    assert done.outcome.version is not None
    history.call("promote", "loans", done.outcome.version, "--reason", "looked at it")


def _rolled_back(history: History) -> None:
    history.call("rollback", "loans", "--reason", "the shop complains")


def _released(history: History) -> None:
    history.call("release", "loans", "--reason", "it was the shop")


RUN: Final = History.run
LOANS_DAYS: Final[dict[int, tuple[Callable[[History], object], ...]]] = {
    45: (_outage,),
    47: (partial(RUN, file=STRICT),),
    48: (partial(_spoiled, 20), RUN),
    49: (partial(_spoiled, 2), RUN),
    50: (RUN, _mended),
    52: (_killed_once,),
    53: (_waits,),
    54: (_promoted_by_hand, RUN),
    55: (_rolled_back, RUN),
    56: (_released, RUN),
    57: (RUN, RUN),
    58: (partial(RUN, file=STRICT),),
}
"""What a day brings instead of a run."""
OTHER_DAYS: Final[dict[int, tuple[Callable[[History], object], ...]]] = {
    43: (partial(RUN, file=CHURN),),
    46: (partial(RUN, file=CHURN),),
    50: (partial(RUN, file=FRAUD),),
    52: (partial(RUN, file=CHURN, dsn=NO_DATABASE),),
    57: (partial(RUN, file=edited(FRAUD, publish={"approval": "manual"})),),
    59: (partial(RUN, file=CHURN, dsn=NO_DATABASE),),
}


@contextmanager
def lived(postgres: str, folder: Path) -> Iterator[tuple[Prometheus, History]]:
    """A Prometheus that has seen it all, and what happened."""
    execute(postgres, "CREATE DATABASE history")
    dsn = on_database(postgres, "history")
    loans.load(dsn)
    trust(file_url(folder / "store"))
    with served(folder) as gateway:
        case = Case(dsn, file_url(folder / "store"), folder, {"REFIT_PUSHGATEWAY": gateway.url})
        history = History(case, gateway)
        live(history)
    with _told(history, folder) as prometheus:
        yield prometheus, history


@contextmanager
def _told(history: History, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus with the blocks that promtool made of the history."""
    text, place = folder / "history.txt", free_place()
    with text.open("w") as file:
        file.writelines(history.openmetrics())
    making = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h"]
    making += [str(text), str(folder / "data")]  # a block for two hours each, and the file is read as often
    made = subprocess.run(making, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    (folder / "prometheus.yaml").write_text("{}")
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=10y",
        f"--query.lookback-delta={SAMPLED_SECONDS + 60:.0f}s",
        f"--web.listen-address={place}",
        "--log.level=warn",
    ]
    with running(command, folder, f"http://{place}/-/ready"):
        yield Prometheus(f"http://{place}")
