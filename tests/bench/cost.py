"""What a month costs: prints the tables that README.md beside it shows; with `--write` it puts them there. Standard
library only; `python3 tests/bench/cost.py`.

Sizes and counts are measured (where, says each); prices are those published for us-east-1, in dollars, and were not
compared with a bill; what is assumed says so.
"""

import pathlib
import sys

README = pathlib.Path(__file__).with_name("README.md")

# Prices.
LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_GB_SECOND = 0.0000133334  # arm64
DYNAMODB_WRITE = 0.625 / 1e6
DYNAMODB_READ = 0.125 / 1e6
SNS_REQUEST = 0.50 / 1e6
SNS_EMAIL = 2.00 / 1e5
SCHEDULER = 1.00 / 1e6
# An alarm is paid for by the metrics that it looks at.
METRIC, ALARM_METRIC, DASHBOARD = 0.30, 0.10, 3.00
LOG_GB = 0.50 + 0.03

# Free of charge each month, for an account that uses them for nothing else.
FREE_LAMBDA_REQUESTS, FREE_GB_SECONDS = 1e6, 400_000
FREE_METRICS, FREE_ALARM_METRICS, FREE_LOG_GB = 10, 10, 5
FREE_SNS_REQUESTS, FREE_EMAILS, FREE_SCHEDULER = 1e6, 1_000, 14e6

METRICS, ALARMS, ALARM_METRICS = 5, 9, 11

# Assumed.
MINUTES = 5
PAGE_SECONDS = 0.05
REST_SECONDS = 0.1
JOBS_A_MONTH = 300
EMAIL_SUBSCRIBERS = 3
# What Lambda itself logs of a run.
LAMBDA_LOG_BYTES = 900

JOBS = (100, 1_000, 10_000, 100_000)
SCHEDULES = (1, 5, 15)
PAGE_MILLISECONDS = (20, 50, 100, 200)
TIMEOUTS = (300, 900)


class Ours:
    """This function."""

    memory_gb = 128 / 1024
    # The cheapest of those that `tests/run bench` measures, and a warm run with its share of a processor there, over
    # 10,000 jobs at 20 ms, in seconds.
    run_seconds = 4.40
    # Measured there too: an idle run is a Query of 2 read units (20 active jobs) and writes nothing; a job is recorded
    # when first seen; ended and pending, in a transaction, claimed, and settled.
    read_units = 2
    write_units_a_job = 1 + 6
    # Each run asks the topic and that of the alarms how many have confirmed.
    sns_requests = 2
    # The metrics line (542 bytes) and the summary (some 430 in JSON) were measured.
    summary_bytes = 430
    log_bytes = 542 + summary_bytes + LAMBDA_LOG_BYTES


class Boto3:
    """The function in tests/bench/boto3_function.py: no metrics, no logs, no crash-safe notices."""

    # Measured as ours are.
    memory_gb = 128 / 1024
    run_seconds = 9.28
    read_units = 0.5
    write_units_a_job = 2
    sns_requests = 0
    log_bytes = LAMBDA_LOG_BYTES


def page_seconds(function, latency):
    """What a page takes: what the service takes, and what the function and the wire add to that."""
    return latency + function.run_seconds / (10_000 / 50) - 0.020


def run_seconds(function, jobs, latency=PAGE_SECONDS):
    return -(-jobs // 50) * page_seconds(function, latency) + REST_SECONDS


def lines(function, jobs, minutes, free):
    """Name and dollars of each line of the bill, but for what only this function has."""
    runs = 30 * 24 * 60 / minutes
    gb_seconds = runs * run_seconds(function, jobs) * function.memory_gb
    log_gb = runs * function.log_bytes / 1e9
    emails = JOBS_A_MONTH * EMAIL_SUBSCRIBERS
    sns = runs * function.sns_requests + JOBS_A_MONTH

    def beyond(amount, free_of_charge):
        return max(0, amount - free_of_charge) if free else amount

    return {
        "Lambda, requests": beyond(runs, FREE_LAMBDA_REQUESTS) * LAMBDA_REQUEST,
        "Lambda, time": beyond(gb_seconds, FREE_GB_SECONDS) * LAMBDA_GB_SECOND,
        "DynamoDB, reads": runs * function.read_units * DYNAMODB_READ,
        "DynamoDB, writes": JOBS_A_MONTH * function.write_units_a_job * DYNAMODB_WRITE,
        "SNS, requests": beyond(sns, FREE_SNS_REQUESTS) * SNS_REQUEST,
        "SNS, emails": beyond(emails, FREE_EMAILS) * SNS_EMAIL,
        "Scheduler": beyond(runs, FREE_SCHEDULER) * SCHEDULER,
        "CloudWatch, logs": beyond(log_gb, FREE_LOG_GB) * LOG_GB,
    }


def imports_as_well(jobs):
    """What it adds to watch as many batch imports, of which as many are told: they are part of the same run, which asks
    for subscribers and writes its metrics once."""
    runs = 30 * 24 * 60 / MINUTES
    seconds = -(-jobs // 50) * page_seconds(Ours, PAGE_SECONDS)
    return (
        runs * seconds * Ours.memory_gb * LAMBDA_GB_SECOND
        + runs * Ours.read_units * DYNAMODB_READ
        + JOBS_A_MONTH * (Ours.write_units_a_job * DYNAMODB_WRITE + SNS_REQUEST + EMAIL_SUBSCRIBERS * SNS_EMAIL)
        + runs * Ours.summary_bytes / 1e9 * LOG_GB
    )


def watching(free):
    """What is there only to notice that the watch itself fell silent."""

    def beyond(amount, free_of_charge):
        return max(0, amount - free_of_charge) if free else amount

    return {
        f"CloudWatch, {METRICS} metrics": beyond(METRICS, FREE_METRICS) * METRIC,
        f"CloudWatch, {ALARMS} alarms on {ALARM_METRICS} metrics": beyond(ALARM_METRICS, FREE_ALARM_METRICS) * ALARM_METRIC,
    }


def dollars(amount):
    return "0" if amount == 0 else "< 0.01" if amount < 0.005 else f"{amount:.2f}"


def table(head, rows):
    lines = [head, *rows]
    lines = [f"| {' | '.join(line)} |" for line in lines]
    lines.insert(1, "|---|" + "---:|" * (len(head) - 1))
    return "\n".join(lines)


def bill():
    def of(jobs, free):
        return lines(Ours, jobs, MINUTES, free) | watching(free)

    rows = [[name] + [dollars(of(jobs, False)[name]) for jobs in JOBS] for name in of(JOBS[0], False)]
    for title, free in (("**without free tier**", False), ("**with free tier**", True)):
        rows.append([title] + [f"**{dollars(sum(of(jobs, free).values()))}**" for jobs in JOBS])
    both = [dollars(sum(of(jobs, False).values()) + imports_as_well(jobs)) for jobs in JOBS]
    rows.append(["without free tier, and as many imports watched too", *both])
    return table(["jobs listed"] + [f"{jobs:,}" for jobs in JOBS], rows)


def schedules():
    def month(function, jobs, minutes):
        if run_seconds(function, jobs) > 60 * minutes:
            return "–"
        return dollars(sum(lines(function, jobs, minutes, False).values()))

    rows = []
    for jobs in JOBS:
        row = [f"{jobs:,}", f"{run_seconds(Ours, jobs):.1f} s", f"{run_seconds(Boto3, jobs):.1f} s"]
        for minutes in SCHEDULES:
            row += [month(Ours, jobs, minutes), month(Boto3, jobs, minutes)]
        rows.append(row)
    head = ["jobs listed", "a run", "boto3's"]
    for minutes in SCHEDULES:
        head += ["every minute" if minutes == 1 else f"{minutes} minutes", "boto3's"]
    return table(head, rows)


def most_jobs():
    def most(latency, timeout):
        # As src/run/deadline.rs keeps for asking and delivering.
        seconds = timeout - min(60, timeout / 3)
        pages = int((seconds - REST_SECONDS) / page_seconds(Ours, latency))
        return f"{pages * 50 // 1_000 * 1_000:,}"

    head = ["a page takes"] + [f"{latency} ms" for latency in PAGE_MILLISECONDS]
    rows = [
        [f"jobs listed at most, Timeout {timeout} s"]
        + [most(latency / 1e3, timeout) for latency in PAGE_MILLISECONDS]
        for timeout in TIMEOUTS
    ]
    return table(head, rows)


def put_into_readme(tables):
    """In the place of the tables with the same heads."""
    blocks = README.read_text().split("\n\n")
    for new in tables:
        (place,) = [n for n, block in enumerate(blocks) if block.split("\n")[0] == new.split("\n")[0]]
        blocks[place] = new
    README.write_text("\n\n".join(blocks))


if __name__ == "__main__":
    tables = [bill(), schedules(), most_jobs()]
    print("\n\n".join(tables))
    if "--write" in sys.argv:
        put_into_readme(tables)
