"""Schedules for infra/local/temporal-calendar: what the contract names, and random ones around clock changes."""

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random

UTC = timezone.utc
FIRST_YEAR, LAST_YEAR = 2015, 2100
HOUR = 3600
MONTHS = "january february march april may june july august september october november december".split()
WEEKDAYS = "sunday monday tuesday wednesday thursday friday saturday".split()

# Clock changes at midnight, of half an hour or of two hours, around Greenwich, far east and far west, in the fasting
# month, into another standard time.
CURIOUS = """
Africa/Cairo Africa/Casablanca Africa/Juba Africa/Sao_Tome Africa/Windhoek America/Asuncion America/Caracas
America/Havana America/Miquelon America/New_York America/Nuuk America/Punta_Arenas America/Santiago
America/Sao_Paulo America/Scoresbysund America/St_Johns America/Vancouver Antarctica/Casey Antarctica/Macquarie
Antarctica/Troll Asia/Almaty Asia/Amman Asia/Beirut Asia/Damascus Asia/Gaza Asia/Hovd Asia/Kathmandu Asia/Pyongyang
Asia/Tehran Atlantic/Azores Australia/Adelaide Australia/Lord_Howe Europe/Berlin Europe/Chisinau Europe/Dublin
Europe/Istanbul Europe/Lisbon Europe/London Europe/Volgograd Pacific/Apia Pacific/Bougainville Pacific/Chatham
Pacific/Easter Pacific/Fiji Pacific/Norfolk Pacific/Tongatapu
""".split()

# Names that are not zones. Left out are those that a server takes because it looks for files: `./UTC`, `posix/UTC`.
NO_ZONES = """
europe/berlin utc Mars/Olympus Etc/Unknown Europe America/Indiana ../UTC /UTC \\UTC +01:00 UTC+1 EST5 GMT+1 Europe/Berl
Europe/Berlin/ local Z
""".split() + [" UTC", "UTC ", "Europe/Berlin\t", "\u00a0UTC"]

MACROS = "@hourly @daily @midnight @weekly @monthly @yearly @annually".split()

# Accepted or not, the server knows.
NAMED = MACROS + """
@reboot|@DAILY|@daily |\t@daily\u00a0|@daily x|@every|@every |@every 6h|@every 6h/2h|@every 90s
@every 1.5s|@every 999ms|@every 0.9999999999s|@every 2d|@every 1d12h|@every 1.5d/0.5d|@every 6h/6h
@every 6h/-1h|@every 6h/|@every 6h/0|@every -6h|@every +6h|@every 1h30m10s|@every 1h/2h|@everything 5m
@every  5m|@every 5m|@every 5m x|@every 5m # x|@every\t5m|CRON_TZ=Nowhere @every 1h|@every 1500ms/1200ms
@every 2562047h|@every 2562048h|@every 900000h/899999h|@every 1us|@every 1000000us|@every 1000000\u00b5s
@every 1000000\u03bcs|@every 1.h|@every .5h|@every .h|@every 1..5h|@every 1h1|@every 0.50000000000000h
@every 9223372036854775808ns9223372036854775808ns1h|@every 1e3s|@every 0.00000001d1s|@every 1D
@every 0.0009765625d|@every 5days|@every 0|@every 00s|@every 9223372036854775807ns|@every 1h-1m
@every 3h/2h/1h|CRON_TZ=America/New_York 0 9 * * *|TZ=America/New_York 0 9 * * *|CRON_TZ= 0 9 * * *
CRON_TZ=America/New_York|CRON_TZ=Nowhere 0 9 * * *|CRON_TZ=America/New_York @daily|CRON_TZ=UTC\t0 9 * * *
CRON_TZ=UTC  0 9 * * *|TZ==UTC 0 9 * * *|cron_tz=UTC 0 9 * * *| CRON_TZ=UTC 0 9 * * *
CRON_TZ=#UTC 0 9 * * *|CRON_TZ=Local 0 9 * * *|0 9 * * * CRON_TZ=UTC|0 9 * * * 2027|0 9 * * * 1999
0 9 * * * 2101|0 9 31 12 * 2100|0 9 * * * 2000-2014|0 9 * * * */4|0 9 * * * 2020/7|30 0 9 * * * *
*/20 59 23 31 12 * 2099|60 * * * * * *|* * * * * * * *|* * * *||#|# 0 9 * * *|0 9 * * * # words # more
0 9 * * MON#2|0 9 * * MONDAY|0 9 * * mo|0 9 * * m|0 9 * * mond-frid|0 9 * * Sundays|0 9 1 sept *
0 9 1 Se *|0 9 1 jan-MAR *|0 9 * * 7|0 9 * * 0-7|0 9 * * 1-7|0 9 * * 2-7|0 9 * * 5-7/2|0 9 * * 6-7
0 9 * * 1/1|0 9 * * 1/2|0 9 * * */7|0 9 * * 7/3|0 9 * * 7-7|0 9 * * 8|0 9 * * sun-sat|0 9 * * sat-sun
0 9 * * fri-7|0 9 * * FR\u0130|0 9 1 APR\u0130L *|0 9 * * \u017fun|? * * * *|0 9 ? * *|0 9 * * ?|0 9 L * *
0 9 15W * *|0 9 * * 5L|H * * * *|5-3 * * * *|0 22-4 * * *|0 9 31-1 * *|0,30 * * * *|0,,30 * * * *
,0 * * * *|0, * * * *|0-59/7 * * * *|0/7 * * * *|*/0 * * * *|*/-1 * * * *|*/+2 * * * *|*/ * * * *
/5 * * * *|1/2/3 * * * *|1-2-3 * * * *|--1 * * * *|0--0 * * * *|-0 * * * *|0-+9 * * * *|+5 * * * *
05 * * * *|0x5 * * * *|1_0 * * * *|*/99 * * * *|*/2147483647 * * * *|*/2147483648 * * * *
*/4294967296 * * * *|*/4294967297 * * * *|*/4294967299 * * * *|*/9223372036854775807 * * * *
*/9223372036854775808 * * * *|0 9 * * */4294967303|0 9 * * 7/4294967295|** * * * *|*-5 * * * *|60 * * * *
* 24 * * *|0 9 0 * *|0 9 32 * *|0 9 * 0 *|0 9 * 13 *|0 9 31 2 *|0 9 30 2 *|0 9 29 2 *|0 9 29 2 1
0 9 31 4,6,9,11 *|0 0 13 * 5|0 0 13 * FRI|0 0 1-7 * MON|0\u00a09 * *\u3000*|0\u200b9 * * *
0\u00859 * * * *|0 9 * * *\u2028|0 9 * * \uff11|30 2 31 10 *|0,30 1-3 31 10 *|30 1 7 11 *|0 0 30 4 *
30 2 8-14 3 SUN|* 2 8-14 3 SUN|0 0 2-8 9 SUN|0 12 2-8 9 SUN|0 12 2-8 9 SAT
""".strip("\n").replace("\n", "|").split("|") + [f"0 9 * * * #{'x' * length}" for length in (199, 200, 201)] + [
    "0 9 * * * # " + "\u00e9" * 100,
    "0 9 * * * # " + "\u00e9" * 101,
    "@every 1h # " + "x" * 220,
    "0" * 240 + "5 * * * *",
    ",".join(["5-59/7"] * 30) + " * * * *",
]


@dataclass
class Spec:
    cron: str
    timezone: str
    # Points in time whose next firings are asked for, in milliseconds since 1970.
    after: list[int]


def named_cases(random: Random, zones: Path) -> list[Spec]:
    clocks = Clocks(random, zones)
    chosen = ["", "UTC", "Europe/Berlin", "America/New_York", "America/Santiago"]
    specs = [Spec(cron, random.choice(chosen), [clocks.any_time()]) for cron in NAMED]
    for zone in [*NO_ZONES, "Local"]:
        specs.append(Spec(random.choice(["0 9 * * *", "@every 1h"]), zone, [clocks.any_time()]))
    return specs


def random_specs(random: Random, zones: Path, count: int) -> list[Spec]:
    clocks = Clocks(random, zones)
    kinds = [around_a_change, around_a_change, around_a_change, any_fields, any_interval, any_text]
    return [random.choices(kinds, weights=[5, 5, 5, 4, 1, 3])[0](random, clocks) for _ in range(count)]


class Clocks:
    """The zones, and when their clocks change."""

    def __init__(self, random: Random, zones: Path):
        zoneinfo.reset_tzpath([str(zones)])
        self.random, self.names = random, sorted(zoneinfo.available_timezones())
        self.changes: dict[tuple[str, int], list[int]] = {}

    def any_zone(self) -> str:
        return self.random.choice(self.random.choice([CURIOUS, self.names]))

    def any_time(self) -> int:
        start, end = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (FIRST_YEAR, LAST_YEAR + 1))
        return self.random.randrange(start * 1000, end * 1000)

    def changes_of(self, zone: str, year: int) -> list[int]:
        """The instants of a year at which a zone's clock changes, in seconds since 1970."""
        if (zone, year) not in self.changes:
            start, end = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (year, year + 1))
            days = [(day, offset(zone, day)) for day in range(start, end + 1, 24 * HOUR)]
            self.changes[zone, year] = [
                change_between(zone, first, second)
                for (first, before), (second, after) in zip(days, days[1:])
                if before != after
            ]
        return self.changes[zone, year]

    def any_change(self) -> tuple[str, int]:
        for _ in range(20):
            zone, year = self.any_zone(), self.random.randint(FIRST_YEAR, LAST_YEAR)
            if changes := self.changes_of(zone, year):
                return zone, self.random.choice(changes)
        return "UTC", self.any_time() // 1000


def offset(zone: str, instant: int) -> int:
    local = datetime.fromtimestamp(instant, zoneinfo.ZoneInfo(zone)).utcoffset()
    assert local is not None
    return int(local.total_seconds())


def change_between(zone: str, first: int, second: int) -> int:
    before = offset(zone, first)
    while second - first > 1:
        middle = (first + second) // 2
        first, second = (middle, second) if offset(zone, middle) == before else (first, middle)
    return second


def around_a_change(random: Random, clocks: Clocks) -> Spec:
    """Fields that the clock shows shortly before, while and shortly after it changes."""
    zone, change = clocks.any_change()
    shown = offset(zone, random.choice([change, change - 1]))
    near = datetime.fromtimestamp(change + shown + random.randint(-2 * HOUR, 2 * HOUR), UTC)
    near += timedelta(days=random.choice([0] * 10 + [-1, 1]))
    weekday = near.isoweekday() % 7
    minute = random.choice([some(random, near.minute, 0, 59), str(near.minute), "0", "30", "*/30", "*/15", "*"])
    hour = random.choice([some(random, near.hour, 0, 23), str(near.hour), "*", "0", "0-3"])
    day = random.choice([some(random, near.day, 1, 31), str(near.day), "*", "*", "*"])
    month = random.choice([some(random, near.month, 1, 12, MONTHS, 1), str(near.month), "*"])
    day_before = str((weekday + 6) % 7)
    days = random.choice([some(random, weekday, 0, 6, WEEKDAYS, 0), str(weekday), day_before, "*", "*", "*"])
    fields = [minute, hour, day, month, days]
    if random.random() < 0.3:
        fields.append(random.choice([str(near.year), f"{near.year}-{LAST_YEAR}", "*"]))
    if len(fields) == 6 and random.random() < 0.5:
        fields.insert(0, random.choice(["0", "59", "*/20", "*", some(random, random.randrange(60), 0, 59)]))
    after = [change * 1000 + random.randrange(-4 * HOUR * 1000, 4 * HOUR * 1000) for _ in range(2)]
    after.append((change + random.choice([0, -1, 1]) * random.choice([0, 1, HOUR // 2, HOUR, 2 * HOUR])) * 1000)
    after.append((change - random.randrange(3 * 24 * HOUR)) * 1000)
    return dressed(random, clocks, " ".join(fields), zone, after)


def any_fields(random: Random, clocks: Clocks) -> Spec:
    """Any fields that the grammar has."""
    kinds = [(0, 59, [], 0), (0, 59, [], 0), (0, 23, [], 0), (1, 31, [], 0), (1, 12, MONTHS, 1), (0, 7, WEEKDAYS, 0)]
    kinds.append((2000, 2100, [], 0))
    count = random.choice([5, 5, 5, 6, 7])
    chosen = {5: kinds[1:6], 6: kinds[1:], 7: kinds}[count]
    fields = [some(random, random.randint(kind[0], kind[1]), *kind) for kind in chosen]
    if count > 5 and random.random() < 0.7:
        fields[-1] = "*"
    return dressed(random, clocks, " ".join(fields), clocks.any_zone(), [clocks.any_time(), clocks.any_time()])


def any_interval(random: Random, clocks: Clocks) -> Spec:
    """Intervals with and without a phase, some of which are refused."""

    def number() -> str:
        return random.choice([str(random.randrange(100)), f"{random.uniform(0, 50):.{random.randrange(8)}f}"])

    def duration() -> str:
        kinds = ["s", "m", "h", "d", "ms", "us", "ns"]
        units = random.choices(kinds, weights=[5, 5, 5, 5, 1, 1, 1], k=random.randint(1, 3))
        return "".join(number() + unit for unit in units)

    text = f"@every {duration()}" + (f"/{duration()}" if random.random() < 0.6 else "")
    return dressed(random, clocks, text, clocks.any_zone(), [clocks.any_time(), clocks.any_time()])


def any_text(random: Random, clocks: Clocks) -> Spec:
    """A schedule of another kind with a few characters changed."""
    spec = random.choice([around_a_change, any_fields, any_interval])(random, clocks)
    if random.random() < 0.2:
        spec.cron = random.choice(NAMED)
    for _ in range(random.randint(1, 2)):
        place = random.randint(0, len(spec.cron))
        before, here, behind = spec.cron[:place], spec.cron[place : place + 1], spec.cron[place + 1 :]
        new = random.choice("0123456789*/-,+#?LW .@=TZhdmsu\t\u00a0\u0130\u212a\u3000x")
        spec.cron = before + random.choice([new + here, new, "", here.swapcase()]) + behind
    return spec


def dressed(random: Random, clocks: Clocks, cron: str, zone: str, after: list[int]) -> Spec:
    """The zone inside the cron string, beside it or both; a comment, blanks."""
    way = random.random()
    if way < 0.15:
        cron = f"{random.choice(['CRON_TZ', 'TZ'])}={zone} {cron}"
        zone = random.choice(["", "", zone, clocks.any_zone()])
    elif way < 0.18:
        zone = random.choice(NO_ZONES + ["", "Local", zone.lower(), zone.upper(), zone[:-1]])
    if random.random() < 0.1:
        cron += random.choice(["#2", " # " + "words " * random.randrange(40), "#", "  ", " \t"])
    if random.random() < 0.05:
        cron = random.choice([" ", "\t", "\u2003"]) + cron
    return Spec(cron, zone, after)


def some(random: Random, wanted: int, least: int, greatest: int, names: Sequence[str] = (), first: int = 0) -> str:
    """A list of ranges, one of which has the number that is wanted, mostly."""

    def spelled(number: int) -> str:
        place = number - first
        if names and 0 <= place < len(names) and random.random() < 0.5:
            name = names[place][: random.randint(2, 9)]
            return random.choice([name, name.upper(), name.title()])
        return str(number)

    def part(number: int) -> str:
        low, high = max(least, number - random.randint(0, 3)), min(greatest, number + random.randint(0, 3))
        step = random.choice([1, 2, 3, random.randint(1, greatest + 3)])
        return random.choice(
            [
                spelled(number), spelled(number), f"{spelled(low)}-{spelled(high)}", f"{spelled(low)}/{step}",
                f"{spelled(low)}-{spelled(high)}/{step}", f"*/{step}", "*",
            ]
        )

    others = [random.randint(least, greatest) for _ in range(random.choice([0, 0, 0, 0, 1, 2]))]
    return ",".join(part(number) for number in [wanted, *others])
