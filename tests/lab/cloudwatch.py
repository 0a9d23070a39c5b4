"""A small model of how CloudWatch evaluates the template's alarms, and the table of what each fault makes them do.

It does what these pages document:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-warm-up.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
What they leave open is tried each way (WAYS). Times are in minutes from the moment at which the alarm was made.
"""

import ast
import bisect
import itertools
import re
from dataclasses import dataclass, field, replace

OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"
BREACHES = {
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
}
STATISTICS = {"Maximum": max, "Minimum": min, "Sum": sum, "SampleCount": len}
# "We recommend that you do not use this function in CloudWatch alarms": they count the extra points too.
UNFIT = {"AVG", "DATAPOINT_COUNT", "MAX", "MIN", "PERCENTILE", "RUNNING_SUM", "STDDEV", "SUM"}


# --- the model


@dataclass(frozen=True)
class Way:
    """What the documentation leaves open."""

    # How many points more than EvaluationPeriods are looked at: some.
    extra: int
    # How late a metric can be seen: up to 3 minutes for most, and up to 15 for those of a queue that was idle.
    is_late: bool
    # Whether FILL makes points of a metric that has none at all where it is looked at.
    fills_nothing: bool

    def delay(self, metric):
        return (15 if "NumberOfMessagesSent" in metric else 3) if self.is_late else 0


WAYS = [Way(*way) for way in itertools.product((1, 5), (False, True), (False, True))]


@dataclass
class Alarm:
    """One alarm, as its properties say."""

    # By id: name and statistic. Metrics of two queues have the queue's logical name before theirs.
    metrics: dict
    expression: str
    period: int
    periods: int
    to_alarm: int
    operator: str
    threshold: float
    missing: str
    warm_up: int

    @classmethod
    def of(cls, properties):
        if "Metrics" not in properties:
            metrics, expression = {"m": (name_of(properties), properties["Statistic"])}, "m"
            period = int(properties["Period"])
        else:
            stats = {q["Id"]: q["MetricStat"] for q in properties["Metrics"] if "MetricStat" in q}
            metrics = {name: (name_of(stat["Metric"]), stat["Stat"]) for name, stat in stats.items()}
            (expression,) = [q["Expression"] for q in properties["Metrics"] if "Expression" in q]
            (period,) = {int(stat["Period"]) for stat in stats.values()}
        periods = int(properties["EvaluationPeriods"])
        return cls(
            metrics, expression, period, periods, int(properties.get("DatapointsToAlarm", periods)),
            properties["ComparisonOperator"], float(properties["Threshold"]), properties["TreatMissingData"],
            int(properties.get("WarmUpConfiguration", {}).get("WarmUpPeriodDurationInMinutes", 0)),
        )

    def __post_init__(self):
        self.expression = ast.parse(self.expression, mode="eval").body
        self.functions = {node.func.id for node in ast.walk(self.expression) if isinstance(node, ast.Call)}

    def points(self, samples, now, way):
        """The points that are looked at in a minute, the newest last, and None where there is none. The window slides: the
        newest is of the period that ends now."""
        count = self.periods + way.extra
        series = {}
        for id, (name, statistic) in self.metrics.items():
            times, values = samples.get(name, ([], []))
            seen = bisect.bisect_right(times, now - way.delay(name))
            points, end = {}, now
            for place in range(count):
                start = end - self.period / 60
                inside = values[bisect.bisect_right(times, start) : min(bisect.bisect_right(times, end), seen)]
                if inside:
                    points[-place] = STATISTICS[statistic](list(itertools.chain.from_iterable(inside)))
                end = start
            series[id] = points
        result = evaluate(self.expression, series, range(1 - count, 1), way)
        return [result.get(at) for at in range(1 - count, 1)]

    def state(self, samples, now, way, before):
        breaches = BREACHES[self.operator]
        points = [
            None if point is None else breaches(point, self.threshold) for point in self.points(samples, now, way)
        ]
        return judged(points, self.periods, self.to_alarm, self.missing, before)

    def history(self, samples, until, way, step=1):
        """When it rings and when it ends: the minutes at which it came to ALARM, and left it for OK."""
        rings, ends, state = [], [], UNKNOWN
        for now in range(self.warm_up + step, until, step):
            after = self.state(samples, now, way, state)
            if (state, after) == (ALARM, OK):
                ends.append(now)
            if after == ALARM != state:
                rings.append(now)
            state = after
        return rings, ends


def name_of(metric):
    (dimension,) = metric["Dimensions"]
    queue = dimension["Value"]["Fn::GetAtt"][0] + "." if dimension["Name"] == "QueueName" else ""
    return queue + metric["MetricName"]


def evaluate(node, series, places, way):
    """A math expression. A time series is a value by place, where it has one."""
    match node:
        case ast.Name(id):
            return series[id]
        case ast.Constant(value):
            return value
        case ast.BinOp(left, ast.Add(), right):
            # "Missing values in a time series are treated as 0."
            left, right = (evaluate(side, series, places, way) for side in (left, right))
            return {at: left.get(at, 0) + right.get(at, 0) for at in left.keys() | right.keys()}
        case ast.Call(ast.Name(function), arguments):
            first, *others = (evaluate(argument, series, places, way) for argument in arguments)
            if function == "FILL":
                return {at: first.get(at, others[0]) for at in places} if first or way.fills_nothing else {}
            if function == "DIFF":
                return {at: first[at] - first[before] for before, at in itertools.pairwise(sorted(first))}
            if function == "IF":
                yes, no = others
                return {at: yes.get(at, 0) if value else no for at, value in first.items()}
    raise ValueError(f"the model knows no {ast.unparse(node)}")


def judged(points, wanted, to_alarm, missing, before):
    """The state by the points in the evaluation range, the newest last: True if one breaches, None if it is missing."""
    real = [point for point in points if point is not None][-wanted:]
    breaching, lacking = sum(real), wanted - len(real)
    if breaching + (lacking if missing == "breaching" else 0) >= to_alarm:
        return ALARM
    if not lacking or not all(real) or missing in ("breaching", "notBreaching"):
        return OK
    # All there is breaches, and is too little.
    if missing == "ignore":
        return before
    oldest = next((age for age, point in zip(range(len(points), 0, -1), points) if point), 0)
    return ALARM if oldest >= to_alarm else UNKNOWN


def faults_of(properties):
    """Which documented limits an alarm exceeds."""
    alarm = Alarm.of(properties)
    queries = properties.get("Metrics", [])
    day = 86_400 if alarm.period < 3_600 else 604_800
    holds = {
        "a period is 10, 20, 30 or a multiple of 60": alarm.period in (10, 20, 30) or alarm.period % 60 == 0,
        "periods of less than an hour last a day at most, others 7 days": alarm.period * alarm.periods <= day,
        "at most as many breach as are looked at": 1 <= alarm.to_alarm <= alarm.periods,
        "at most 10 metrics": len(alarm.metrics) <= 10,
        "one result": not queries or [bool(q["ReturnData"]) for q in queries].count(True) == 1,
        "ids begin with a small letter": all(re.fullmatch("[a-z][a-zA-Z0-9_]*", q["Id"]) for q in queries),
        "no function that counts extra points": not UNFIT & alarm.functions,
        "FILL never goes by one point": "FILL" not in alarm.functions or alarm.periods > 1,
        "a warm-up of two days at most": alarm.warm_up <= 2_880,
    }
    return [limit for limit, held in holds.items() if not held]


def resolved(part, template):
    """A part of a template without conditions, its parameters and mappings looked up."""
    if isinstance(part, list):
        return [resolved(one, template) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("Ref") in template["Parameters"]:
        return template["Parameters"][part["Ref"]]["Default"]
    part = {key: resolved(value, template) for key, value in part.items()}
    if "Fn::FindInMap" in part:
        mapping, first, second = part["Fn::FindInMap"]
        return template["Mappings"][mapping][str(first)][second]
    return part


def alarms_of(template):
    """The properties of each alarm by its name, as they are for the template's defaults."""
    return {
        properties["AlarmName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"): properties
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        for properties in [resolved(resource["Properties"], template)]
    }


# The tables of "Configuring how CloudWatch alarms treat missing data": M of N, the points, and the states if the missing
# are treated as missing, ignored (None: it stays as it is), breaching, not breaching.
DOCUMENTED = [
    (3, 3, "0-X-X", OK, OK, OK, OK),
    (3, 3, "0----", OK, OK, OK, OK),
    (3, 3, "-----", UNKNOWN, None, ALARM, OK),
    (3, 3, "0XX-X", ALARM, ALARM, ALARM, ALARM),
    (3, 3, "--X--", ALARM, None, ALARM, OK),
    (3, 3, "----X", UNKNOWN, None, ALARM, OK),
    (2, 3, "0-X-X", ALARM, ALARM, ALARM, ALARM),
    (2, 3, "00X0X", ALARM, ALARM, ALARM, ALARM),
    (2, 3, "0-X--", OK, OK, ALARM, OK),
    (2, 3, "----0", OK, OK, ALARM, OK),
    (2, 3, "---X-", ALARM, None, ALARM, OK),
]


def differs_from_the_documentation():
    wrong = []
    for to_alarm, wanted, text, *states in DOCUMENTED:
        points = [{"0": False, "X": True, "-": None}[point] for point in text]
        for missing, state in zip(("missing", "ignore", "breaching", "notBreaching"), states):
            if (is_now := judged(points, wanted, to_alarm, missing, None)) != state:
                wrong.append(f"{to_alarm} of {wanted}, {text}, {missing}: {is_now}, not {state}")
    return wrong


# --- the stories

HOUR, DAY = 60, 24 * 60
WELL = {
    "RunSucceeded": [1], "ListingIncomplete": [0], "OldestPendingAge": [0], "ConfirmedSubscribers": [1, 6],
}
FAILED = {"RunSucceeded": [0], "ListingIncomplete": None}


@dataclass
class Story:
    """A fault, what CloudWatch has of it, and which alarms it may ring."""

    fault: str
    # When it runs.
    runs: list
    # From when until when what differs from a run that went well; None is what is not said. A run that is None is not made.
    changes: list = field(default_factory=list)
    # What AWS measures, and when.
    counts: dict = field(default_factory=dict)
    until: int = 600
    # By alarm: after how long it rings, counted from the fault, and when it ends, counted from the fault's end; each as
    # earliest and latest. It never ends if there is no end, and rings once for each pair. No other alarm rings.
    rings: dict = field(default_factory=dict)
    at: tuple = (0, 0)
    parameters: dict = field(default_factory=dict)
    step: int = 1

    def samples(self):
        made = {}
        for time in self.runs:
            said = dict(WELL)
            for start, end, change in self.changes:
                if start <= time < end:
                    said = None if change is None or said is None else said | change
            for name, values in (said or {}).items():
                if values is not None:
                    made.setdefault(name, []).append((time, values))
        for name, times in self.counts.items():
            made[name] = [(time, [1]) for time in times]
        return {name: tuple(zip(*sorted(points))) for name, points in made.items()}

    def differences(self, alarms, ways=WAYS):
        """What is not as expected; and what was seen, as a row of the table."""
        samples, wrong, rows = self.samples(), [], []
        for name, properties in alarms.items():
            alarm, histories = Alarm.of(properties), {}
            seen = []
            for way in ways:
                if way.fills_nothing and "FILL" not in alarm.functions:
                    way = replace(way, fills_nothing=False)
                seen.append(histories.get(way) or alarm.history(samples, self.until, way, self.step))
                histories[way] = seen[-1]
            ringing, ending = self.rings.get(name, ([], []))
            for way, (rings, ends) in zip(ways, seen):
                for what, times, expected, start in (
                    ("rings", rings, ringing, self.at[0]), ("ends", ends, ending, self.at[1]),
                ):
                    after = [time - start for time in times]
                    fits = len(after) == len(expected) and all(
                        low <= time <= high for time, (low, high) in zip(after, expected)
                    )
                    if not fits:
                        wrong.append(f"{self.fault}: {name} {what} after {after}, not {expected} ({way})")
            if ringing and seen[0][0]:
                points = alarm.points(samples, seen[0][0][0], ways[0])
                after = (spread(part, start) for part, start in zip(zip(*seen), self.at))
                rows.append((self.fault, name, shown(points[-alarm.periods :]), *after))
        return wrong, rows


def spread(histories, start):
    """The range of each moment, over all ways."""
    moments = [(min(times) - start, max(times) - start) for times in zip(*histories)]
    return ", ".join(span(low) if span(low) == span(high) else f"{span(low)} to {span(high)}" for low, high in moments)


def shown(points):
    """The points that it first rang by, as the documentation writes them, those that are the same in a row as one."""
    runs = ((point, len(list(same))) for point, same in itertools.groupby(points))
    return " ".join(f"{'-' if point is None else f'{point:g}'}{f' ×{count}' if count > 1 else ''}" for point, count in runs)


def span(minutes):
    return f"{minutes} min" if abs(minutes) < 3 * HOUR else f"{minutes / HOUR:.0f} h"


def every(minutes, until, start=1):
    return list(range(start, until, minutes))


def on_weekdays(days):
    """Every 5 minutes from 7 to 19:55 on working days, from a Monday at 6 on. The clocks are put back in the first night
    of the weekend, so it is an hour longer."""
    return [
        day * DAY + HOUR + minute + (HOUR if day >= 5 else 0)
        for day in range(days)
        if day % 7 < 5
        for minute in range(0, 13 * HOUR, 5)
    ]


WEEKDAYS = {"IntervalMinutes": 5, "LongestGapHours": 60}
DAILY = {"IntervalMinutes": 1440}
FRIDAY_EVENING = 4 * DAY + HOUR + 13 * HOUR - 5
MONDAY = 7 * DAY + 2 * HOUR

STORIES = [
    Story("nothing", every(5, 600)),
    Story("nothing, on weekdays", on_weekdays(12), parameters=WEEKDAYS, until=12 * DAY, step=7),
    Story("nothing, once a day", every(DAY, 6 * DAY, 300), parameters=DAILY, until=6 * DAY, step=7),
    Story(
        "nothing, once each working day", [time for time in every(DAY, 12 * DAY, 300) if time // DAY % 7 < 5],
        parameters={**DAILY, "LongestGapHours": 72}, until=12 * DAY, step=7,
    ),
    Story("it never runs", [], rings={"no-successful-run": ([(60, 62)], [])}),
    Story(
        "every run fails from the first on", every(5, 600), [(0, 600, FAILED)],
        {"FailedRuns.NumberOfMessagesSent": every(5, 600, 4)},
        rings={"no-successful-run": ([(60, 62)], []), "failed-runs": ([(4, 20)], [])},
    ),
    Story(
        "the schedule is disabled", every(5, 600), [(302, 450, None)], at=(300, 451),
        rings={"no-successful-run": ([(11, 17)], [(0, 4)])},
    ),
    Story(
        "every run fails", every(5, 600), [(302, 450, FAILED)],
        {"FailedRuns.NumberOfMessagesSent": every(5, 454, 310)}, at=(306, 451),
        rings={"no-successful-run": ([(6, 13)], [(0, 4)]), "failed-runs": ([(4, 20)], [(20, 30)])},
    ),
    Story(
        "a run fails and its retry succeeds", [*every(5, 600), 307], [(306, 307, FAILED)],
    ),
    Story(
        "a run is given up, and another one two hours later", every(5, 600), [(301, 302, FAILED), (421, 422, FAILED)],
        {"FailedRuns.NumberOfMessagesSent": [305, 425]}, at=(305, 305),
        rings={"failed-runs": ([(0, 16), (120, 136)], [(24, 26), (144, 146)])},
    ),
    Story(
        "a run is given up, and its event cannot be kept", every(5, 600), [(301, 302, FAILED)],
        {"DestinationDeliveryFailures": [305]}, at=(305, 305), rings={"failed-runs": ([(0, 4)], [(24, 26)])},
    ),
    Story(
        "the one run of a day is given up", every(DAY, 6 * DAY, 300), [(2 * DAY, 3 * DAY, FAILED)],
        {"FailedRuns.NumberOfMessagesSent": [2 * DAY + 304]}, 6 * DAY, at=(2 * DAY + 304, 2 * DAY + 304),
        parameters=DAILY, step=3,
        rings={"failed-runs": ([(0, 18)], [(24, 30)]), "no-successful-run": ([(110, 125)], [(DAY - 4, DAY + 2)])},
    ),
    Story(
        "the schedule may not invoke the function", every(5, 600), [(302, 450, None)],
        {"MissedTicks.NumberOfMessagesSent": every(5, 451, 306)}, at=(306, 451),
        rings={"missed-ticks": ([(0, 16)], [(20, 26)]), "no-successful-run": ([(6, 13)], [(0, 4)])},
    ),
    Story(
        "a daily schedule is disabled", every(DAY, 6 * DAY, 300), [(3 * DAY, 6 * DAY, None)], until=6 * DAY,
        parameters=DAILY, step=3, at=(2 * DAY + 300, 0),
        rings={"no-successful-run": ([(26 * HOUR, 27 * HOUR)], [])},
    ),
    Story(
        "a weekday schedule is disabled over the weekend", on_weekdays(14), [(5 * DAY, 14 * DAY, None)],
        until=9 * DAY, parameters=WEEKDAYS, step=7, at=(FRIDAY_EVENING, 0),
        rings={"no-successful-run": ([(62 * HOUR, 63 * HOUR)], [])},
    ),
    Story(
        "a run is given up on weekdays", on_weekdays(5), [], {"FailedRuns.NumberOfMessagesSent": [2 * DAY + 300]},
        until=3 * DAY, parameters=WEEKDAYS, step=2, at=(2 * DAY + 300, 2 * DAY + 300),
        rings={"failed-runs": ([(0, 17)], [(24, 27)])},
    ),
    Story("one listing is too long", every(5, 600), [(301, 302, {"ListingIncomplete": [1]})]),
    Story(
        "listings are too long", every(5, 600), [(301, 450, {"ListingIncomplete": [1]})], at=(301, 451),
        rings={"listing-incomplete": ([(5, 9)], [(5, 9)])},
    ),
    Story(
        "a daily listing is too long", every(DAY, 5 * DAY, 300), [(2 * DAY, 3 * DAY, {"ListingIncomplete": [1]})],
        until=5 * DAY, parameters=DAILY, step=3, at=(2 * DAY + 300, 3 * DAY + 300),
        rings={"listing-incomplete": ([(0, 6)], [(0, 6)])},
    ),
    Story(
        "a notice cannot be published", every(5, 600), [(301, 450, {"OldestPendingAge": [3700]})], at=(301, 451),
        rings={"notice-pending": ([(0, 3)], [(0, 8)])},
    ),
    Story("subscriptions are confirmed within ten minutes", every(5, 600), [(0, 10, {"ConfirmedSubscribers": [0, 0]})]),
    Story(
        "nobody confirms for hours", every(5, 600), [(0, 200, {"ConfirmedSubscribers": [0, 2]})], at=(1, 201),
        rings={"nobody-subscribed": ([(10, 14)], [(0, 4)])},
    ),
    Story(
        "a scanner unsubscribes one of several", every(5, 600), [(301, 600, {"ConfirmedSubscribers": [1, 5]})],
        at=(301, 301), rings={"subscriber-lost": ([(0, 9)], [(15, 45)])},
    ),
    Story(
        "two are lost, some hours apart", every(5, 900),
        [(301, 600, {"ConfirmedSubscribers": [1, 5]}), (600, 900, {"ConfirmedSubscribers": [1, 4]})], until=900,
        at=(301, 301), rings={"subscriber-lost": ([(0, 9), (300, 309)], [(15, 45), (315, 345)])},
    ),
    Story(
        "a scanner unsubscribes one over the weekend", on_weekdays(12),
        [(5 * DAY, 12 * DAY, {"ConfirmedSubscribers": [1, 5]})], until=9 * DAY, parameters=WEEKDAYS, step=7,
        at=(MONDAY, MONDAY), rings={"subscriber-lost": ([(0, 14)], [(2 * HOUR, 8 * HOUR)])},
    ),
    Story(
        "one is lost on a daily schedule", every(DAY, 6 * DAY, 300),
        [(3 * DAY, 6 * DAY, {"ConfirmedSubscribers": [1, 5]})], until=6 * DAY, parameters=DAILY, step=3,
        at=(3 * DAY + 300, 3 * DAY + 300), rings={"subscriber-lost": ([(0, 6)], [(2 * HOUR, 8 * HOUR)])},
    ),
    Story(
        "the topics do not answer once", every(5, 600), [(301, 302, {"ConfirmedSubscribers": None})],
    ),
    Story(
        "GetTopicAttributes is denied", every(5, 900), [(301, 702, {"ConfirmedSubscribers": None})], until=900,
        at=(301, 706), rings={"subscribers-unknown": ([(3 * HOUR - 6, 4 * HOUR)], [(0, 4)])},
    ),
    Story(
        "GetTopicAttributes is denied from the first run on", every(5, 600), [(0, 600, {"ConfirmedSubscribers": None})],
        rings={"subscribers-unknown": ([(2 * HOUR, 3 * HOUR + 5)], [])},
    ),
    Story(
        "SNS cannot deliver", every(5, 600), [], {"NumberOfNotificationsFailed": [300, 450]}, at=(300, 300),
        rings={"not-delivered": ([(0, 4), (150, 154)], [(14, 16), (164, 166)])},
    ),
]


def steady(interval, gap):
    """Runs as they should be, with pauses that are an hour longer as the clocks are put back, and then none any more."""
    rare = max(interval, gap * HOUR)
    runs = every(interval, 4 * max(rare, 4 * HOUR), min(interval, 30))
    if gap:
        day = every(interval, 9 * HOUR)
        runs = [number * (day[-1] - day[0] + rare + HOUR) + time for number in range(3) for time in day]
    last, until = runs[-1], runs[-1] + rare + 5 * HOUR
    return Story(
        f"no run any more, every {interval} minutes with gaps of {gap} hours", runs, until=until,
        parameters={"IntervalMinutes": interval, "LongestGapHours": gap}, step=1 if rare <= HOUR else 11,
        at=(last, 0), rings={"no-successful-run": ([(rare, max(3 * rare, rare + 2 * HOUR) + 15)], [])},
    )


# Mistakes that the stories must show: the alarm, what of it is changed to what, and the story.
MISTAKES = [
    # As it once was: an hour late.
    ("no-successful-run", ("Metrics", 0, "Expression"), "run", "the schedule is disabled"),
    ("no-successful-run", ("WarmUpConfiguration",), {"WarmUpPeriodDurationInMinutes": 0}, "it never runs"),
    ("no-successful-run", ("TreatMissingData",), "ignore", "it never runs"),
    ("no-successful-run", ("EvaluationPeriods",), 50, "nothing, on weekdays"),
    # Too short for a metric that is late.
    ("failed-runs", ("EvaluationPeriods",), 1, "a run is given up, and another one two hours later"),
    # It would stay in ALARM as long as it finds the one old point.
    ("failed-runs", ("Metrics", 0, "Expression"), "kept", "a run is given up, and another one two hours later"),
    ("not-delivered", ("TreatMissingData",), "breaching", "nothing"),
    ("nobody-subscribed", ("EvaluationPeriods",), 1, "subscriptions are confirmed within ten minutes"),
    ("subscriber-lost", ("EvaluationPeriods",), 3, "a scanner unsubscribes one over the weekend"),
    ("subscribers-unknown", ("EvaluationPeriods",), 1, "GetTopicAttributes is denied"),
    ("listing-incomplete", ("DatapointsToAlarm",), 1, "one listing is too long"),
    ("notice-pending", ("Threshold",), 36000, "a notice cannot be published"),
]
