//! EXPECT: what it takes and refuses, and when its deadlines are. The moments are worked out by hand.

use fraud_job_watch::watch::{Deadline, Expectations};
use jiff::{SignedDuration, Timestamp};

fn parse(text: &str) -> Expectations {
    Expectations::parse(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn what_is_left_out_and_other_notations_mean_the_same() {
    for (text, same) in [
        ("d by 07:00", "d by 07:00 MON-SUN UTC"),
        ("d by 07:00 UTC", "d by 07:00 WED-TUE"),
        (
            "d by 07:00 Europe/Dublin",
            "d by 07:00 MON-SUN Europe/Dublin",
        ),
        ("d by 07:00 FRI-MON", "d by 07:00 MON,FRI,SAT,SUN"),
        ("d by 07:00 TUE-FRI", "d by 07:00 THU,WED,FRI,TUE"),
        ("d by 07:00 tue-tue", "d by 07:00 TUE"),
        ("d by 07:00 MON,MON-TUE", "d by 07:00 mon-Tue"),
        (
            "d by 07:00 MON, WED - FRI ,SUN UTC",
            "d by 07:00 MON,WED-FRI,SUN",
        ),
        (
            "d FROM 22:00 By 07:00 europe/dublin",
            "d from 22:00 by 07:00 Europe/Dublin",
        ),
        (" ;; d  by\t07:00 ; ;* by\n08:00;", "d by 07:00;* by 08:00"),
        ("", " ; "),
    ] {
        assert_eq!(parse(text), parse(same), "{text}");
    }
}

#[test]
fn any_name_that_the_service_allows_is_one() {
    let longest = "n".repeat(64);
    for name in [
        "*",
        "payments_detector",
        "2-b_",
        "-",
        "by",
        "from",
        "mon",
        &longest,
    ] {
        let expectations = parse(&format!("{name} by 07:00"));
        assert_eq!(expectations.names().collect::<Vec<_>>(), [name]);
        assert!(!expectations.is_empty());
    }
    let expectations = parse("b by 07:00; * by 08:00; a by 07:00; b by 09:00 UTC");
    assert_eq!(expectations.names().collect::<Vec<_>>(), ["b", "*", "a"]);
    assert!(parse(" ").is_empty());
}

#[test]
fn it_may_have_2000_bytes() {
    let text = |bytes: usize| format!("{:bytes$}", "d by 07:00");
    assert!(Expectations::parse(&text(2_000)).is_ok());
    let faults = Expectations::parse(&text(2_001)).unwrap_err();
    let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        told,
        ["it has 2001 bytes, but must be at most 2000 bytes long, like \"* by 07:00 MON-FRI\""]
    );
}

/// Each text, and how each of its faults begins.
const BAD: &[(&str, &[&str])] = &[
    (
        "d",
        &["in entry 1, \"d\", the deadline is missing, but must be `by` and a time of day"],
    ),
    (
        "d MON-FRI",
        &["in entry 1, \"d MON-FRI\", the deadline is missing"],
    ),
    (
        "d from 25:00 MON",
        &[
            "…the time after `from` is \"25:00\"",
            "…the deadline is missing",
        ],
    ),
    (
        "d from",
        &[
            "…the time after `from` is missing",
            "…the deadline is missing",
        ],
    ),
    (
        "d by",
        &["…the time after `by` is missing, but must be HH:MM from 00:00 to 23:59, like \"07:00\""],
    ),
    ("d from by 07:00", &["…the time after `from` is missing"]),
    (
        "d by 24:00",
        &["…the time after `by` is \"24:00\", but must be HH:MM from 00:00 to 23:59"],
    ),
    ("d by 99:99", &["…the time after `by` is \"99:99\""]),
    ("d by 07:60", &["…the time after `by` is \"07:60\""]),
    ("d by 7:00", &["…the time after `by` is \"7:00\""]),
    ("d by 07:00:00", &["…the time after `by` is \"07:00:00\""]),
    ("d by 07:00Z", &["…the time after `by` is \"07:00Z\""]),
    ("d by +7:00", &["…the time after `by` is \"+7:00\""]),
    ("d by 0700", &["…the time after `by` is \"0700\""]),
    ("d by MON-FRI", &["…the time after `by` is \"MON-FRI\""]),
    (
        "d from 24:00 by 7am",
        &[
            "…the time after `from` is \"24:00\"",
            "…the time after `by` is \"7am\"",
        ],
    ),
    (
        "by 07:00",
        &["…the detector is missing, but must be `*` for any, or 1 to 64 of a-z, 0-9, `_` and `-`"],
    ),
    ("From 22:00 by 07:00", &["…the detector is missing"]),
    ("Payments by 07:00", &["…the detector is \"Payments\""]),
    ("a.b by 07:00", &["…the detector is \"a.b\""]),
    ("** by 07:00", &["…the detector is \"**\""]),
    ("é by 07:00", &["…the detector is \"é\""]),
    ("a,b by 07:00", &["…the detector is \"a,b\""]),
    (
        "d at 06:00 by 07:00",
        &["…what stands before `by` is \"at 06:00\", but must be nothing, or `from` and a time"],
    ),
    (
        "d from 22:00 MON by 07:00",
        &["…what stands before `by` is \"MON\""],
    ),
    (
        "d by 07:00 FUNDAY",
        &["…what follows the time is \"FUNDAY\", but must be days of the week"],
    ),
    (
        "d by 07:00 MONDAY",
        &["…what follows the time is \"MONDAY\""],
    ),
    (
        "d by 07:00 MON,FUN,TUE-MUN",
        &["…what follows the time is \"FUN,TUE-MUN\""],
    ),
    (
        "d by 07:00 MON-WED-FRI",
        &["…what follows the time is \"MON-WED-FRI\""],
    ),
    ("d by 07:00 MON,", &["…what follows the time is \"\""]),
    (
        "d by 07:00 15",
        &[
            "…the day is \"15\", but must be a day of the week, MON to SUN, and not one of the month",
        ],
    ),
    (
        "d by 07:00 MON,1st,15-20 UTC",
        &["…the day is \"1st,15-20\""],
    ),
    ("d by 07:00 2026-03-02", &["…the day is \"2026-03-02\""]),
    (
        "d by 07:00 Europe/Dubln",
        &["…the time zone is \"Europe/Dubln\", but must be a name of the IANA database"],
    ),
    (
        "d by 07:00 MON Etc/Unknown",
        &["…the time zone is \"Etc/Unknown\""],
    ),
    ("d by 07:00 MON +01:00", &["…the time zone is \"+01:00\""]),
    (
        "d by 07:00 MON EST5EDT,M3.2.0,M11.1.0",
        &["…the time zone is \"EST5EDT,M3.2.0,M11.1.0\""],
    ),
    (
        "d by 07:00 UTC MON",
        &[
            "…what follows the time is \"UTC\"",
            "…the time zone is \"MON\"",
        ],
    ),
    (
        "d by 07:00 MON UTC by 09:00",
        &["…what follows the time zone is \"by 09:00\", but must be left out, or an entry"],
    ),
    (
        "cron(0 7 ? * MON-FRI *)",
        &[
            "…the schedule is \"cron(0 7 ? * MON-FRI *)\", but must be a detector, `by` with a time of day, and days of the week, like \"payments_detector by 07:00 MON-FRI Europe/Dublin\"",
        ],
    ),
    ("d by Cron(0 7 * * ? *)", &["…the schedule is "]),
    ("d rate(1 day)", &["…the schedule is "]),
    (
        "d by 07:00;d by 07:00",
        &["in entry 2, \"d by 07:00\", it repeats entry 1, but must be there once"],
    ),
    (
        "e by 07:00;; d by 07:00;e by 08:00;d BY 07:00 sun-sat UTC;",
        &["in entry 4, \"d BY 07:00 sun-sat UTC\", it repeats entry 2"],
    ),
    (
        "D from 9 by 24:00 15 Mars/Base;;ok by 07:00; d",
        &[
            "in entry 1, \"D from 9 by 24:00 15 Mars/Base\", the detector is \"D\"",
            "…the time after `from` is \"9\"",
            "…the time after `by` is \"24:00\"",
            "…the day is \"15\"",
            "…the time zone is \"Mars/Base\"",
            "in entry 3, \"d\", the deadline is missing",
        ],
    ),
];

#[test]
fn every_fault_is_named_with_its_place_the_rule_and_an_example() {
    for (text, expected) in BAD {
        let faults = Expectations::parse(text).expect_err(text);
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), expected.len(), "{text}: {told:#?}");
        for (told, expected) in told.iter().zip(*expected) {
            let fits = match expected.strip_prefix('…') {
                Some(problem) => told.contains(&format!("\", {problem}")),
                None => told.starts_with(expected),
            };
            assert!(fits, "{text}: {told}, and not {expected}");
            assert!(told.starts_with("in entry "), "{told}");
            assert!(told.contains(", but must be "), "{told}");
            assert!(told.contains(", like \""), "{told}");
        }
    }
}

/// Some deadlines that follow one another.
struct Case {
    because: &'static str,
    expect: &'static str,
    /// The first is the next after this.
    after: &'static str,
    /// When what counts begins, and the deadline.
    deadlines: &'static [(&'static str, &'static str)],
}

/// The deadlines of `d`.
const CASES: &[Case] = &[
    Case {
        because: "a day is from one deadline to the next",
        expect: "d by 07:00",
        after: "2026-03-02T06:59:59Z",
        deadlines: &[
            ("2026-03-01T07:00:00Z", "2026-03-02T07:00:00Z"),
            ("2026-03-02T07:00:00Z", "2026-03-03T07:00:00Z"),
        ],
    },
    Case {
        because: "Monday's reaches over the weekend",
        expect: "d by 07:00 MON-FRI",
        after: "2026-03-05T12:00:00Z",
        deadlines: &[
            ("2026-03-05T07:00:00Z", "2026-03-06T07:00:00Z"),
            ("2026-03-06T07:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-03-09T07:00:00Z", "2026-03-10T07:00:00Z"),
        ],
    },
    Case {
        because: "a range may go over the end of the week",
        expect: "d by 12:00 FRI-MON",
        after: "2026-03-02T12:00:00Z",
        deadlines: &[
            ("2026-03-02T12:00:00Z", "2026-03-06T12:00:00Z"),
            ("2026-03-06T12:00:00Z", "2026-03-07T12:00:00Z"),
            ("2026-03-07T12:00:00Z", "2026-03-08T12:00:00Z"),
            ("2026-03-08T12:00:00Z", "2026-03-09T12:00:00Z"),
            ("2026-03-09T12:00:00Z", "2026-03-13T12:00:00Z"),
        ],
    },
    Case {
        because: "one day a week",
        expect: "d by 12:00 SUN",
        after: "2026-03-02T00:00:00Z",
        deadlines: &[
            ("2026-03-01T12:00:00Z", "2026-03-08T12:00:00Z"),
            ("2026-03-08T12:00:00Z", "2026-03-15T12:00:00Z"),
        ],
    },
    Case {
        because: "the evening before belongs to Monday's morning, in the winter and in the summer",
        expect: "d from 22:00 by 07:00 MON Europe/Dublin",
        after: "2026-03-16T07:00:00Z",
        deadlines: &[
            ("2026-03-22T22:00:00Z", "2026-03-23T07:00:00Z"),
            ("2026-03-29T21:00:00Z", "2026-03-30T06:00:00Z"),
        ],
    },
    Case {
        because: "a from of the same day",
        expect: "d from 06:59 by 07:00 TUE",
        after: "2026-03-02T12:00:00Z",
        deadlines: &[("2026-03-03T06:59:00Z", "2026-03-03T07:00:00Z")],
    },
    Case {
        because: "a from at the time of the by is that of the day before",
        expect: "d from 07:00 by 07:00 TUE",
        after: "2026-03-02T12:00:00Z",
        deadlines: &[("2026-03-02T07:00:00Z", "2026-03-03T07:00:00Z")],
    },
    Case {
        because: "midnight begins the day",
        expect: "d from 22:00 by 00:00 TUE",
        after: "2026-03-02T12:00:00Z",
        deadlines: &[
            ("2026-03-02T22:00:00Z", "2026-03-03T00:00:00Z"),
            ("2026-03-09T22:00:00Z", "2026-03-10T00:00:00Z"),
        ],
    },
    Case {
        because: "the deadline before is that of any entry of the name, and of no other name",
        expect: "d by 07:00; e by 10:00; d by 19:00 MON; * by 12:00",
        after: "2026-03-02T07:00:00Z",
        deadlines: &[
            ("2026-03-02T07:00:00Z", "2026-03-02T19:00:00Z"),
            ("2026-03-02T19:00:00Z", "2026-03-03T07:00:00Z"),
            ("2026-03-03T07:00:00Z", "2026-03-04T07:00:00Z"),
        ],
    },
    Case {
        because: "a from may be before another entry's deadline",
        expect: "d from 22:00 by 07:00; d by 02:00",
        after: "2026-03-02T07:00:00Z",
        deadlines: &[
            ("2026-03-02T07:00:00Z", "2026-03-03T02:00:00Z"),
            ("2026-03-02T22:00:00Z", "2026-03-03T07:00:00Z"),
        ],
    },
    Case {
        because: "two at the same instant are one, and the earlier from holds",
        expect: "d from 05:00 by 07:00; d from 23:00 by 07:00",
        after: "2026-03-02T07:00:00Z",
        deadlines: &[
            ("2026-03-02T23:00:00Z", "2026-03-03T07:00:00Z"),
            ("2026-03-03T23:00:00Z", "2026-03-04T07:00:00Z"),
        ],
    },
    Case {
        because: "two zones with the same time until clocks change, and two deadlines from then on",
        expect: "d from 23:00 by 07:00 MON; d by 07:00 MON Europe/Dublin",
        after: "2026-03-16T07:00:00Z",
        deadlines: &[
            ("2026-03-16T07:00:00Z", "2026-03-23T07:00:00Z"),
            ("2026-03-23T07:00:00Z", "2026-03-30T06:00:00Z"),
            ("2026-03-29T23:00:00Z", "2026-03-30T07:00:00Z"),
        ],
    },
    Case {
        because: "a day of 23 hours",
        expect: "d from 22:00 by 07:00 Europe/Dublin",
        after: "2026-03-28T07:00:00Z",
        deadlines: &[
            ("2026-03-28T22:00:00Z", "2026-03-29T06:00:00Z"),
            ("2026-03-29T21:00:00Z", "2026-03-30T06:00:00Z"),
        ],
    },
    Case {
        because: "a day of 25 hours",
        expect: "d from 22:00 by 07:00 Europe/Dublin",
        after: "2026-10-24T06:00:00Z",
        deadlines: &[
            ("2026-10-24T21:00:00Z", "2026-10-25T07:00:00Z"),
            ("2026-10-25T22:00:00Z", "2026-10-26T07:00:00Z"),
        ],
    },
    Case {
        because: "a day of 23 hours elsewhere",
        expect: "d by 07:00 America/New_York",
        after: "2026-03-07T12:00:00Z",
        deadlines: &[
            ("2026-03-07T12:00:00Z", "2026-03-08T11:00:00Z"),
            ("2026-03-08T11:00:00Z", "2026-03-09T11:00:00Z"),
        ],
    },
    Case {
        because: "a day of 25 hours elsewhere",
        expect: "d by 07:00 America/New_York",
        after: "2026-10-31T11:00:00Z",
        deadlines: &[
            ("2026-10-31T11:00:00Z", "2026-11-01T12:00:00Z"),
            ("2026-11-01T12:00:00Z", "2026-11-02T12:00:00Z"),
        ],
    },
    Case {
        because: "of a by that the day has twice the first counts",
        expect: "d by 01:30 Europe/Dublin",
        after: "2026-10-24T00:30:00Z",
        deadlines: &[
            ("2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z"),
            ("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ],
    },
    Case {
        because: "of a from that the day has twice the first counts",
        expect: "d from 01:30 by 03:00 America/New_York",
        after: "2026-10-31T07:00:00Z",
        deadlines: &[
            ("2026-11-01T05:30:00Z", "2026-11-01T08:00:00Z"),
            ("2026-11-02T06:30:00Z", "2026-11-02T08:00:00Z"),
        ],
    },
    Case {
        because: "a by that the day lacks is later: 01:30 is 02:30",
        expect: "d by 01:30 Europe/Dublin",
        after: "2026-03-28T01:30:00Z",
        deadlines: &[
            ("2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z"),
            ("2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"),
        ],
    },
    Case {
        because: "a from that the day lacks is earlier: 02:30 is 01:30, and 03:00 comes after it",
        expect: "d from 02:30 by 03:00 America/New_York",
        after: "2026-03-07T08:00:00Z",
        deadlines: &[
            ("2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"),
            ("2026-03-09T06:30:00Z", "2026-03-09T07:00:00Z"),
        ],
    },
    Case {
        because: "the day lacks both: from 01:15 to 03:45",
        expect: "d from 02:15 by 02:45 America/New_York",
        after: "2026-03-07T12:00:00Z",
        deadlines: &[
            ("2026-03-08T06:15:00Z", "2026-03-08T07:45:00Z"),
            ("2026-03-09T06:15:00Z", "2026-03-09T06:45:00Z"),
        ],
    },
    Case {
        because: "what the day lacks comes after what follows it: 02:30 is 03:30, after 03:00",
        expect: "d by 02:30 America/New_York; d by 03:00 America/New_York",
        after: "2026-03-07T08:00:00Z",
        deadlines: &[
            ("2026-03-07T08:00:00Z", "2026-03-08T07:00:00Z"),
            ("2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"),
            ("2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"),
        ],
    },
    Case {
        because: "clocks that skip half an hour: 02:15 is 02:45",
        expect: "d by 02:15 Australia/Lord_Howe",
        after: "2026-10-02T15:45:00Z",
        deadlines: &[
            ("2026-10-02T15:45:00Z", "2026-10-03T15:45:00Z"),
            ("2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z"),
        ],
    },
    Case {
        because: "half an hour that the day has twice",
        expect: "d by 01:45 Australia/Lord_Howe",
        after: "2026-04-03T14:45:00Z",
        deadlines: &[
            ("2026-04-03T14:45:00Z", "2026-04-04T14:45:00Z"),
            ("2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"),
        ],
    },
    Case {
        because: "Saturday's is past midnight where clocks skip the last hour of the day",
        expect: "d by 23:30 SAT America/Nuuk",
        after: "2026-03-29T01:15:00Z",
        deadlines: &[
            ("2026-03-22T01:30:00Z", "2026-03-29T01:30:00Z"),
            ("2026-03-29T01:30:00Z", "2026-04-05T00:30:00Z"),
        ],
    },
    Case {
        because: "Sunday's is past where clocks go back from Sunday to Saturday",
        expect: "d by 00:00 SUN America/St_Johns",
        after: "2010-11-07T03:00:00Z",
        deadlines: &[("2010-11-07T02:30:00Z", "2010-11-14T03:30:00Z")],
    },
    Case {
        because: "a day that there was not: Friday's and Saturday's are one",
        expect: "d by 07:00 Pacific/Apia",
        after: "2011-12-29T17:00:00Z",
        deadlines: &[
            ("2011-12-29T17:00:00Z", "2011-12-30T17:00:00Z"),
            ("2011-12-30T17:00:00Z", "2011-12-31T17:00:00Z"),
        ],
    },
];

#[test]
fn deadlines_and_what_counts_for_them() {
    for case in CASES {
        let expectations = parse(case.expect);
        let mut after = at(case.after);
        for (opens_at, due) in case.deadlines {
            let found = expectations.next_deadline("d", after).unwrap();
            let because = case.because;
            assert_eq!(found.at, at(due), "the next after {after}: {because}");
            assert_eq!(found.opens_at, at(opens_at), "before {due}: {because}");
            // The deadline before stands up to this one's moment, and from then on it is this one.
            let moment = SignedDuration::from_nanos(1);
            let before = expectations.last_deadline("d", found.at - moment);
            assert!(before.unwrap().at <= after, "{due}: {because}");
            for later in [SignedDuration::ZERO, moment] {
                let last = expectations.last_deadline("d", found.at + later);
                assert_eq!(last.as_ref(), Some(&found), "{because}");
            }
            after = found.at;
        }
    }
}

#[test]
fn a_deadline_says_whether_it_opens_with_a_from() {
    let next = |text: &str| {
        let expectations = parse(text);
        expectations.next_deadline("d", at("2026-03-02T07:00:00Z"))
    };
    let has_from = |text| next(text).is_some_and(|deadline: Deadline| deadline.has_from);
    assert!(has_from("d from 22:00 by 07:00"));
    assert!(!has_from("d by 07:00"));
    assert!(!has_from("d by 07:00; d from 22:00 by 07:00 UTC"));
}

#[test]
fn a_deadline_reads_as_it_was_given() {
    for (text, after, told) in [
        (
            "* by 07:00 MON-FRI europe/dublin",
            "2026-02-28T00:00:00Z",
            "07:00 on Mon 2 Mar 2026 (Europe/Dublin)",
        ),
        (
            "* by 00:05 Asia/Kolkata",
            "2026-12-31T12:00:00Z",
            "00:05 on Fri 1 Jan 2027 (Asia/Kolkata)",
        ),
        (
            "* by 12:00 SUN",
            "2026-03-02T12:00:00Z",
            "12:00 on Sun 8 Mar 2026 (UTC)",
        ),
        (
            "* by 02:30 America/New_York",
            "2026-03-07T12:00:00Z",
            "03:30 on Sun 8 Mar 2026 (America/New_York)",
        ),
    ] {
        let deadline = parse(text).next_deadline("*", at(after)).unwrap();
        assert_eq!(deadline.to_string(), told);
    }
}

#[test]
fn who_is_not_named_has_no_deadline() {
    let now = at("2026-03-02T12:00:00Z");
    for text in ["", "* by 07:00", "dd by 07:00"] {
        assert_eq!(parse(text).last_deadline("d", now), None);
        assert_eq!(parse(text).next_deadline("d", now), None);
    }
}
