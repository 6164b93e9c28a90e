"""What infra/account/check does: the template deployed into an emulated account, used, and taken down again."""

import argparse
import contextlib
import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import console
import deletion
import deprived
import differences
import emulator
import identities
import machinery
import matrix
import operator_user
import paging
import platform_side
import record
import refusals
import stack
import stores
import story
import under_faults
import used
import worse
from account import Account, Wrong, expect, visible, workers

# The end of the emulator's log that is shown after a failure, in characters.
SHOWN = 4000


class Progress:
    """Prints each step when it begins, with the seconds so far."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def seconds(self) -> float:
        """The seconds since the beginning."""
        return time.monotonic() - self.started

    def step(self, what: str) -> None:
        """Begins a step."""
        print(f"{self.seconds():6.1f} s  {what}", flush=True)


def nothing(findings: list[str]) -> None:
    """There must be no findings."""
    expect(not findings, "\n".join(findings))


def use(account: Account, clerk: platform_side.Clerk, progress: Progress) -> dict[str, object]:
    """Everything that administrators and the platform do; gives the lists that a rebuild must not change."""
    commands = platform_side.Commands(account)
    progress.step("events in, every GET, the console")
    story.events_in(account)
    lists = story.every_get(account)
    console.served(account)
    progress.step("a user of Clerk, by webhooks and by the platform")
    identities.webhook(account)
    identities.joined(account, clerk, commands)
    progress.step("deactivations: by the endpoint, by the relay, of a task that comes late, by Clerk")
    story.deactivation(account, clerk, commands)
    story.reactivation(account)
    story.several(account, commands, "DeactivateUsersRole")
    story.reactivation(account)
    story.waiting(account, commands)
    story.reactivation(account)
    machinery.age(account)
    story.several(account, commands, "OutboxRelayRole")
    story.late_rule(account, commands)
    identities.deleted(account, clerk, commands)
    progress.step("pollers and state machine without each of their rights")
    deprived.all_pollers(account)
    deprived.machine(account)
    progress.step("every kind of fault of the store, a consumer killed")
    with under_faults.soon_again(account):
        under_faults.faulty(account, commands)
        under_faults.killed(account, commands)
    return {path: story.answer(account, path) for path in lists}


@contextlib.contextmanager
def in_another_process() -> Iterator[ProcessPoolExecutor]:
    """A process for what takes long. If the check is stopped or fails meanwhile, it is killed and not waited for."""
    with ProcessPoolExecutor(1) as background:
        try:
            yield background
        except BaseException:
            for process in multiprocessing.active_children():
                process.kill()
            raise


@contextlib.contextmanager
def compared(account: Account, tools: machinery.Tools, target: Path) -> Iterator[Future[list[str]]]:
    """The log is taken into other stores meanwhile; gives the names of those. If the check is stopped or fails, that
    ends, and what failed there as well is printed.
    """
    with workers(1) as meanwhile:
        comparing = meanwhile.submit(stores.compare, account, tools, target)
        try:
            yield comparing
        except BaseException as error:
            failed = comparing.exception() if comparing.done() else None
            stores.end()
            if failed not in (None, error):
                print(visible(f"account: in other stores, too: {failed!r}"), file=sys.stderr)
            raise


def check(account: Account, target: Path, progress: Progress, *, unhurried: bool) -> str:
    """The whole check; gives a summary.

    Raises:
        Wrong: If something is not as it must be.
    """
    nothing(stack.probe(account))
    template = stack.template()
    platform_side.create_queue(account)
    with platform_side.clerk() as clerk, in_another_process() as background:
        progress.step("packaging")
        functions = stack.upload(account, target, template)
        progress.step("deploying")
        stack.create(account, template, clerk.address)
        worsened = background.submit(worse.findings, stack.whole()["Resources"])
        mail, tools = machinery.AlarmMail(account), machinery.Tools(account, target, operator_user.create(account))
        lists = use(account, clerk, progress)
        progress.step("rebuild and promotion by the state machine, with batches that are handed back")
        machinery.forget_beginning(account)
        with under_faults.injected(account, "unprocessed", "BatchWriteItem"):
            machinery.rebuild(account, tools, lists, unhurried=unhurried)
        progress.step("rollback, drop, rebuild by an operator")
        machinery.operate(tools)
        progress.step("the same log in other stores; meanwhile calls with the credentials of every role")
        # The rebuild that goes on after a kill mostly waits for the former one's units to be free.
        with compared(account, tools, target) as comparing:
            called, wrong = refusals.findings(account)
            nothing(wrong + refusals.foreign(account))
            progress.step("meanwhile seals, lists by pages, metrics, alarms")
            machinery.sealed(account, tools)
            lists_paged = paging.paged(account)
            # From here on there are other events.
            stores_asked = comparing.result()
        machinery.metrics(account)
        machinery.alarms(account, mail)
        machinery.healthy(account)
        nothing(differences.gone(account))
        entries = record.read(account.folder / "record.ndjson")
        nothing(used.findings(account, template["Resources"], entries))
        nothing(matrix.unlisted(account, template["Resources"], entries))
        progress.step("a change set, the deletion, the way back, the deletion, a beginning from nothing")
        machinery.change(account, template, clerk.address)
        served = deletion.served(account)
        machinery.no_panic(account)
        deletion.deleted(account)
        deletion.gone_back(account, tools, template, clerk.address, served)
        machinery.no_panic(account)
        deletion.deleted(account)
        deletion.begun_again(account, template, clerk.address)
        machinery.no_panic(account)
        later = record.read(account.folder / "record.ndjson")[len(entries) :]
        expect(later, "nothing was decided after the record was read")
        nothing(used.by_themselves(later))
        tried, unnoticed = worsened.result()
        nothing(unnoticed)
    return (
        f"{functions} functions deployed and used, no right unused, {called} calls decided as infra/rights.toml says, "
        f"{lists_paged} lists paged through, "
        f"{tried} changes for the worse noticed, the same items in {len(stores_asked)} other stores"
    )


def show_log(folder: Path) -> None:
    """Prints the end of the emulator's log."""
    log = folder / "emulator.log"
    shown = log.read_text(errors="replace")[-SHOWN:] if log.exists() else ""
    print(visible(shown), file=sys.stderr)


def main() -> int:
    """Runs the check in a temporary folder, which is removed in any case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, required=True, help="cargo's target folder")
    parser.add_argument("--unhurried", action="store_true", help="wait as long as a promotion waits")
    options = parser.parse_args()
    # So that everything is taken down as well.
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda *_: sys.exit(1))
    folder, progress = Path(tempfile.mkdtemp(prefix="torale-account-")), Progress()
    try:
        progress.step("starting the emulator")
        with emulator.running(folder, hurried=not options.unhurried) as port:
            summary = check(Account(port, folder), options.target, progress, unhurried=options.unhurried)
    except (Wrong, emulator.NotStartedError) as error:
        show_log(folder)
        print(visible(f"account: {error}"), file=sys.stderr)
        return 1
    except Exception:
        # Of a kind that nobody expected: what the emulator said is all the more needed.
        show_log(folder)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    progress.step("all taken down")
    print(f"account: {summary}, in {progress.seconds():.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
