"""Why a job is overdue at three times what is usual: years of jobs by chance, judged by that rule and by others. Prints
the tables that README.md beside it shows; with `--write` it puts them there. Standard library only;
`python3 tests/bench/overdue.py`. With `--again` it says instead what is caught right after a slow job.

Every workload is simulated for 40 years of 365 days, each after 60 days of history that are not counted. Starts are
when jobs are accepted, one job runs at a time, first come, first served, and the watch looks every 5 minutes. In each
year some jobs are made to take five times as long. A notice about one of these while it runs is a catch; one about any
other job is false. Times are in minutes. The same seeds give the same tables.
"""

import math
import random
import statistics
import sys
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from cost import put_into_readme, table

HOUR, DAY = 60, 24 * 60
YEARS, YEAR, WARM_UP = 40, 365, 60
EVERY = 5
SLOW_A_YEAR, SLOWER = 6, 5
# Years with a pair of slow jobs each.
YEARS_OF_PAIRS = 120

# The rule's own numbers. The floor is the smaller of STALL_AFTER, here its default of 1 h, and 1 h.
LAST, LEAST, FLOOR = 20, 5, HOUR

# Minutes before the first record, and the pace; a real job with 5,000 records took 6 minutes.
START_UP, RECORDS_A_MINUTE = 2, 1_000
# The deviation of the logarithm: two jobs in three take between 0.78 and 1.28 of what they should.
NOISE = 0.25


@dataclass
class Job:
    start: float
    records: float
    # How long it runs.
    work: float
    detector: str = "payments"
    slow: bool = False
    fails: bool = False
    # Whether the total is listed while it runs, not only the records processed so far.
    total: bool = True
    # How long it may wait before it is canceled.
    patience: float = math.inf
    canceled: bool = False
    begin: float = 0
    end: float = 0


# The workloads. Each makes the jobs of 60 days and a year.


def draw(rng, start, records, noise=NOISE, **more):
    work = (START_UP + records / RECORDS_A_MINUTE) * rng.lognormvariate(0, noise)
    return Job(start, records, work, **more)


def each_night():
    """22:00 of every day."""
    return range(22 * HOUR, (WARM_UP + YEAR) * DAY, DAY)


def about(rng, records):
    return records * rng.uniform(0.9, 1.1)


def nightly(rng):
    """A job a night, about 30,000 records, half an hour."""
    return [draw(rng, at, about(rng, 30_000)) for at in each_night()]


def noisy(rng):
    """The same with twice the noise: one job in six takes less than 0.6 of what it should, one more than 1.65."""
    return [draw(rng, at, about(rng, 30_000), noise=2 * NOISE) for at in each_night()]


def growing(rng):
    """A job a night whose records triple within a year; in one night of it they double too, and stay so."""
    jump = rng.uniform(WARM_UP, WARM_UP + YEAR) * DAY
    return [
        draw(rng, at, about(rng, 15_000) * 3 ** (at / DAY / YEAR) * (2 if at >= jump else 1)) for at in each_night()
    ]


def queued(rng):
    """Six jobs of three detectors accepted within ten minutes each night. One in twenty fails on the way, one in ten is
    canceled if it still waits after an hour and a half."""
    return [
        draw(
            rng,
            at + rng.uniform(0, 10),
            about(rng, records),
            detector=detector,
            fails=rng.random() < 0.05,
            patience=90 if rng.random() < 0.1 else math.inf,
        )
        for at in each_night()
        for detector, records in 2 * [("payments", 40_000), ("chargebacks", 25_000), ("accounts", 15_000)]
    ]


def mixed(rng):
    """Four jobs a day at any time, 1,000 to 100,000 records, small ones as often as large ones by their logarithm. One
    in three shows its total only once it has ended."""
    return [
        draw(rng, at + rng.uniform(0, DAY), 10 ** rng.uniform(3, 5), total=rng.random() < 2 / 3)
        for at in each_night()
        for _ in range(4)
    ]


def reruns(rng):
    """A job a night, about 60,000 records; after every other one, up to thirty reruns of 1 to 5 % of it."""
    jobs = []
    for at in each_night():
        records = about(rng, 60_000)
        jobs.append(draw(rng, at, records))
        if rng.random() < 0.5:
            for _ in range(rng.randint(1, 30)):
                jobs.append(draw(rng, at + rng.uniform(11, 20) * HOUR, records * rng.uniform(0.01, 0.05)))
    return jobs


def outliers(rng):
    """A job a night; one in ten takes five to fifteen times as long, and these count as slow too."""
    jobs = nightly(rng)
    for one in jobs:
        if rng.random() < 0.1:
            one.work *= rng.uniform(5, 15)
            one.slow = True
    return jobs


def weekly(rng):
    """A job a week, about 120,000 records, two hours."""
    return [draw(rng, at, about(rng, 120_000)) for at in each_night()[::7]]


def hourly(rng):
    """A job an hour, about 20,000 records, a third of the hour."""
    return [draw(rng, at, about(rng, 20_000)) for at in range(0, (WARM_UP + YEAR) * DAY, HOUR)]


def bimodal(rng):
    """Four detectors, a job a night each, two hours apart. One in three jobs of the largest takes twice as long, for as
    many records."""
    jobs = []
    for at in each_night():
        for number, records in enumerate((30_000, 10_000, 50_000, 20_000)):
            one = draw(rng, at + 2 * HOUR * number, about(rng, records), detector=f"detector_{number}")
            if number == 2 and rng.random() < 1 / 3:
                one.work *= 2
            jobs.append(one)
    return jobs


def slow_month(rng):
    """A job a night; in one month of the year, all take twice as long."""
    first = (WARM_UP + rng.uniform(0, YEAR - 30)) * DAY
    jobs = nightly(rng)
    for one in jobs:
        if first <= one.start < first + 30 * DAY:
            one.work *= 2
    return jobs


WORKLOADS = (nightly, noisy, growing, queued, mixed, reruns, outliers, weekly, hourly, bimodal, slow_month)


# The rules.


@dataclass
class Past:
    """A completed job, by both clocks."""

    records: float
    # From when it could begin.
    taken: float
    from_start: float


def median_of_like(times, count):
    """That of `auto`: of those with at least half as many records, scaled up where they had fewer; if there are none,
    the one with the most records, of equals the longest, scaled."""
    like = [taken * max(1, count / records) for records, taken in times if records >= count / 2]
    if like:
        return statistics.median(like)
    records, taken = max(times)
    return taken * count / records


def median_to_scale(times, count):
    """Of those with at least half as many records too, but scaled down as well where they had more."""
    like = [taken * count / records for records, taken in times if records >= count / 2]
    return statistics.median(like) if like else median_of_like(times, count)


def median_of_all(times, _):
    return statistics.median(taken for _, taken in times)


def longest(times, _):
    return max(taken for _, taken in times)


def mean_and_deviations(times, _):
    taken = [taken for _, taken in times]
    return statistics.fmean(taken) + 3 * statistics.stdev(taken)


@dataclass
class Rule:
    """Overdue at so many times what is usual; if nothing says what is, at so many hours."""

    times: float
    usual: Callable | None = None
    from_start: bool = False

    def limit(self, past, count):
        if self.usual is None:
            return self.times * HOUR
        if len(past) < LEAST:
            return math.inf
        taken = [(one.records, one.from_start if self.from_start else one.taken) for one in past]
        return max(FLOOR, self.times * self.usual(taken, count))


# All but the fixed ones know the last 20, conclude nothing from fewer than 5, and have the floor.
RULES = {
    "auto": Rule(3, median_of_like),
    "2 ×": Rule(2, median_of_like),
    "4 ×": Rule(4, median_of_like),
    "5 ×": Rule(5, median_of_like),
    "scaled down too": Rule(3, median_to_scale),
    "not scaled": Rule(3, median_of_all),
    "from the start": Rule(3, median_of_like, from_start=True),
    "2 × longest": Rule(2, longest),
    "mean + 3 σ": Rule(1, mean_and_deviations),
    "2 h": Rule(2),
    "6 h": Rule(6),
}


# The simulation.


def plant(rng, jobs):
    """Some of the year's jobs take five times as long."""
    for one in rng.sample([one for one in jobs if in_the_year(one) and not one.slow and not one.fails], SLOW_A_YEAR):
        slow_down(one)


def plant_pair(rng, jobs):
    """A job of the year and the next of the same detector take five times as long: gives both."""
    jobs.sort(key=lambda one: one.start)
    pairs, latest = [], {}
    for one in jobs:
        before = latest.get(one.detector)
        if before and in_the_year(before) and not any(each.slow or each.fails for each in (before, one)):
            pairs.append((before, one))
        latest[one.detector] = one
    pair = rng.choice(pairs)
    for each in pair:
        slow_down(each)
    return pair


def in_the_year(job):
    return job.start >= WARM_UP * DAY


def slow_down(job):
    job.work *= SLOWER
    job.slow = True


def run(jobs):
    """One at a time, in the order of their starts."""
    jobs.sort(key=lambda one: one.start)
    free = 0
    for one in jobs:
        one.begin = max(one.start, free)
        if one.begin - one.start > one.patience:
            one.canceled = True
            one.end = one.start + one.patience
        else:
            free = one.end = one.begin + one.work


def last_look_before(time):
    return (math.ceil(time / EVERY) - 1) * EVERY


def looks(job, ends):
    """The looks at a running job that can make a difference: all, if what is known of its records changes; else the
    last before the clock begins anew, because another ended, and the last of all."""
    if not job.total:
        return range(math.ceil(job.begin / EVERY) * EVERY, math.ceil(job.end), EVERY)
    anew = ends[bisect_left(ends, job.begin) : bisect_left(ends, job.end)]
    return [look for look in map(last_look_before, [*anew, job.end]) if look >= job.begin]


def told(job, past, ends):
    """The rules by which a notice about the job is told while it runs."""
    names = set()
    for look in looks(job, ends):
        count = job.records if job.total else job.records * (look - job.begin) / job.work
        could_begin = max(job.start, last_before(ends, look))
        for name, rule in RULES.items():
            taken = look - (job.start if rule.from_start else could_begin)
            # No rule has a limit below the floor.
            if name not in names and taken >= FLOOR and taken >= rule.limit(past, count):
                names.add(name)
    return names


def last_before(ends, time):
    return ends[bisect_left(ends, time) - 1]


def judge(jobs):
    """Each of the year's jobs that ran, with the rules by which it was told."""
    run(jobs)
    ends = [-math.inf, *sorted(one.end for one in jobs)]
    past = defaultdict(lambda: deque(maxlen=LAST))
    for one in jobs:
        if one.canceled:
            continue
        before = past[one.detector]
        if in_the_year(one):
            yield one, told(one, before, ends) if one.end - one.start > FLOOR else set()
        if not one.fails:
            taken = one.end - max(one.start, last_before(ends, one.end))
            before.append(Past(one.records, taken, one.end - one.start))


def year(workload, number):
    rng = random.Random(f"{workload.__name__} {number}")
    return rng, workload(rng)


def compare(workload):
    """For each rule, the false notices a year and the share of slow jobs caught; and the share that took no hour."""
    false, caught = dict.fromkeys(RULES, 0), dict.fromkeys(RULES, 0)
    slow = short = 0
    for number in range(YEARS):
        rng, jobs = year(workload, number)
        plant(rng, jobs)
        for one, names in judge(jobs):
            slow += one.slow
            short += one.slow and one.work <= FLOOR
            for name in names:
                (caught if one.slow else false)[name] += 1
    return (
        {name: false[name] / YEARS for name in RULES},
        {name: 100 * caught[name] / slow for name in RULES},
        100 * short / slow,
    )


def comparison():
    results = {workload.__name__.replace("_", " "): compare(workload) for workload in WORKLOADS}
    false = [[name] + [f"{false[rule]:.1f}" for rule in RULES] for name, (false, _, _) in results.items()]
    caught = [
        [name] + [f"{caught[rule]:.0f}" for rule in RULES] + [f"{short:.0f}"]
        for name, (_, caught, short) in results.items()
    ]
    summary = []
    for rule in RULES:
        falses = [false[rule] for false, _, _ in results.values()]
        catches = [caught[rule] for _, caught, _ in results.values()]
        summary.append([rule, f"{min(falses):.1f} to {max(falses):.1f}", f"{min(catches):.0f} to {max(catches):.0f}"])
    return [
        table(["rule", "false notices a year", "slow jobs caught, %"], summary),
        table(["false notices a year", *RULES], false),
        table(["slow jobs caught, %", *RULES, "took no hour"], caught),
    ]


def again():
    """Of two slow jobs of a detector one after the other, how many first and how many second ones are caught."""
    rules = ("auto", "2 × longest", "mean + 3 σ")
    rows = []
    for workload in WORKLOADS:
        caught, ran = defaultdict(int), defaultdict(int)
        for number in range(YEARS_OF_PAIRS):
            rng, jobs = year(workload, number)
            place = {id(one): n for n, one in enumerate(plant_pair(rng, jobs))}
            for one, names in judge(jobs):
                if id(one) in place:
                    ran[place[id(one)]] += 1
                    for name in names:
                        caught[name, place[id(one)]] += 1
        row = [f"{100 * caught[rule, n] / ran[n]:.0f}" for rule in rules for n in (0, 1)]
        rows.append([workload.__name__.replace("_", " "), *row])
    head = [f"{rule}, {which}" for rule in rules for which in ("a slow job", "the next")]
    return [table(["caught, %", *head], rows)]


if __name__ == "__main__":
    tables = again() if "--again" in sys.argv else comparison()
    print("\n\n".join(tables))
    if "--write" in sys.argv:
        put_into_readme(tables)
