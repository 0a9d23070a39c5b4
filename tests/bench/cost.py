"""What a month costs: prints the tables that the README shows. Standard library only; `python3 tests/bench/cost.py`.

Sizes and counts are measured (where, says each); prices are those published for us-east-1, in dollars, and were not
compared with a bill; what is assumed says so.
"""

# Prices.
LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_GB_SECOND = 0.0000133334  # arm64
DYNAMODB_WRITE = 0.625 / 1e6
DYNAMODB_READ = 0.125 / 1e6
SNS_REQUEST = 0.50 / 1e6
SNS_EMAIL = 2.00 / 1e5
SCHEDULER = 1.00 / 1e6
METRIC, ALARM, DASHBOARD = 0.30, 0.10, 3.00
LOG_GB = 0.50 + 0.03

# Free of charge each month, for an account that uses them for nothing else.
FREE_LAMBDA_REQUESTS, FREE_GB_SECONDS = 1e6, 400_000
FREE_METRICS, FREE_ALARMS, FREE_LOG_GB = 10, 10, 5
FREE_SNS_REQUESTS, FREE_EMAILS, FREE_SCHEDULER = 1e6, 1_000, 14e6

# Measured by tests/counted.rs: an idle run is a Query of 1.5 read units (20 active jobs) and writes nothing.
READ_UNITS = 1.5
# Measured there as well: recorded when first seen; ended and owed, in a transaction; claimed; settled.
WRITE_UNITS_A_JOB = 1 + 2 * (1 + 2) + 2 + 2
# The metrics line (538 bytes) and the summary (some 430 in JSON) were measured; Lambda's own lines are assumed.
LOG_BYTES = 538 + 430 + 900
METRICS, ALARMS = 5, 8

# Assumed.
MINUTES = 5
MEMORY_GB = 0.25
PAGE_SECONDS = 0.05
REST_SECONDS = 0.1
JOBS_A_MONTH = 300
EMAIL_SUBSCRIBERS = 3

JOBS = (100, 1_000, 10_000, 100_000)


def lines(jobs, free):
    """Name and dollars of each line of the bill."""
    runs = 30 * 24 * 60 / MINUTES
    seconds = -(-jobs // 50) * PAGE_SECONDS + REST_SECONDS
    gb_seconds = runs * seconds * MEMORY_GB
    log_gb = runs * LOG_BYTES / 1e9
    emails = JOBS_A_MONTH * EMAIL_SUBSCRIBERS
    # Each run asks how many have confirmed.
    sns = runs + JOBS_A_MONTH

    def beyond(amount, free_of_charge):
        return max(0, amount - free_of_charge) if free else amount

    return {
        "Lambda, requests": beyond(runs, FREE_LAMBDA_REQUESTS) * LAMBDA_REQUEST,
        "Lambda, time": beyond(gb_seconds, FREE_GB_SECONDS) * LAMBDA_GB_SECOND,
        "DynamoDB, reads": runs * READ_UNITS * DYNAMODB_READ,
        "DynamoDB, writes": JOBS_A_MONTH * WRITE_UNITS_A_JOB * DYNAMODB_WRITE,
        "SNS, requests": beyond(sns, FREE_SNS_REQUESTS) * SNS_REQUEST,
        "SNS, emails": beyond(emails, FREE_EMAILS) * SNS_EMAIL,
        "Scheduler": beyond(runs, FREE_SCHEDULER) * SCHEDULER,
        "CloudWatch, 5 metrics": beyond(METRICS, FREE_METRICS) * METRIC,
        "CloudWatch, 8 alarms": beyond(ALARMS, FREE_ALARMS) * ALARM,
        "CloudWatch, logs": beyond(log_gb, FREE_LOG_GB) * LOG_GB,
    }


def dollars(amount):
    return "0" if amount == 0 else "< 0.01" if amount < 0.005 else f"{amount:.2f}"


def deployment():
    bills = {jobs: (lines(jobs, False), lines(jobs, True)) for jobs in JOBS}
    print("| jobs listed | " + " | ".join(f"{jobs:,}" for jobs in JOBS) + " |")
    print("|---|" + "---:|" * len(JOBS))
    for name in bills[JOBS[0]][0]:
        print(f"| {name} | " + " | ".join(dollars(bills[jobs][0][name]) for jobs in JOBS) + " |")
    for title, place in (("**without free tier**", 0), ("**with free tier**", 1)):
        sums = [dollars(sum(bills[jobs][place].values())) for jobs in JOBS]
        print(f"| {title} | " + " | ".join(f"**{amount}**" for amount in sums) + " |")


if __name__ == "__main__":
    deployment()
