//! Bad or missing variables are all named at once; the README names every variable.

use fraud_job_watch::settings::{LambdaSettings, VARIABLES, WatchSettings};
use fraud_job_watch::watch::{Kind, OverdueAfter, SourceKind};
use jiff::SignedDuration;

fn lookup<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| {
        set.iter()
            .find(|(set, _)| *set == name)
            .map(|(_, value)| (*value).to_owned())
    }
}

const TOPIC: (&str, &str) = ("TOPIC_ARN", "arn:aws:sns:us-east-2:123456789012:jobs");
const TABLE: (&str, &str) = ("STATE_TABLE", "state");

#[test]
fn empty_counts_as_not_set_and_the_defaults_hold() {
    let settings = LambdaSettings::read(lookup(&[
        TOPIC,
        TABLE,
        ("STALL_AFTER", ""),
        ("WATCH_NAME", ""),
    ]))
    .unwrap();
    assert_eq!(settings.topic.region(), "us-east-2");
    assert_eq!(
        settings.watch.policy.stall_after,
        SignedDuration::from_hours(1)
    );
    assert_eq!(
        settings.watch.policy.remind_after,
        Some(SignedDuration::from_hours(4))
    );
    assert_eq!(settings.watch.name, None);
    assert!(!settings.watch.policy.notify_on.contains(&Kind::Canceled));
    assert_eq!(settings.watch.policy.notify_on.len(), 7);
}

#[test]
fn all_faults_are_named_at_once_with_value_rule_and_example() {
    let bad = [
        ("TOPIC_ARN", "jobs"),
        ("STALL_AFTER", "10s"),
        ("NOTIFY_ON", "failed,tired"),
        ("REMIND_AFTER", "never"),
        ("WATCH_NAME", "a]b"),
    ];
    let invalid = LambdaSettings::read(lookup(&bad)).unwrap_err().to_string();
    for (name, value) in bad {
        assert!(
            invalid.contains(&format!("{name} is {value:?}")),
            "{name} in {invalid}"
        );
    }
    assert!(invalid.contains("STATE_TABLE is not set"), "{invalid}");
    assert!(
        invalid.contains("must be a duration from 1m to 30d, like \"1h30m\""),
        "{invalid}"
    );
    assert!(!invalid.contains('\n'), "one line");
}

#[test]
fn durations() {
    let read = |text: &str| {
        WatchSettings::read(lookup(&[("STALL_AFTER", text)]))
            .ok()
            .map(|watch| watch.policy.stall_after)
    };
    for (text, minutes) in [
        ("30m", 30),
        ("2h", 120),
        ("1h30m", 90),
        ("1m", 1),
        ("30d", 30 * 24 * 60),
        ("90m", 90),
    ] {
        assert_eq!(
            read(text),
            Some(SignedDuration::from_mins(minutes)),
            "{text}"
        );
    }
    for text in [
        "59s",
        "31d",
        "1",
        "h",
        "-1h",
        "1h ago",
        "1 fortnight",
        "99999999999999999999h",
        "１h",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn every_fault_of_expect_is_named_beside_those_of_others() {
    let bad = [
        TOPIC,
        ("EXPECT", "d by 24:00; ok by 07:00; d by 07:00 Mars/Base"),
        ("OVERDUE_AFTER", "never"),
    ];
    let invalid = LambdaSettings::read(lookup(&bad)).unwrap_err().to_string();
    for fault in [
        "STATE_TABLE is not set",
        "EXPECT: in entry 1, \"d by 24:00\", the time after `by` is \"24:00\", but must be HH:MM from 00:00 to 23:59",
        "EXPECT: in entry 3, \"d by 07:00 Mars/Base\", the time zone is \"Mars/Base\", but must be",
        "OVERDUE_AFTER is \"never\", but must be `auto`, `off`, or a duration from 1m to 30d, like \"6h\"",
    ] {
        assert!(invalid.contains(fault), "{fault} in {invalid}");
    }
    assert!(!invalid.contains('\n'), "one line");
}

#[test]
fn what_is_expected_and_when_a_job_is_overdue() {
    let read = |set: &[(&str, &str)]| WatchSettings::read(lookup(set)).unwrap().policy;
    for nothing in [&[][..], &[("EXPECT", "")], &[("EXPECT", "none")]] {
        assert!(read(nothing).expect.is_empty());
    }
    let policy = read(&[("EXPECT", "d by 07:00")]);
    assert_eq!(policy.expect.names().collect::<Vec<_>>(), ["d"]);
    assert_eq!(policy.overdue_after, OverdueAfter::Auto);
    for (text, after) in [
        ("auto", OverdueAfter::Auto),
        ("off", OverdueAfter::Off),
        ("6h", OverdueAfter::After(SignedDuration::from_hours(6))),
    ] {
        assert_eq!(read(&[("OVERDUE_AFTER", text)]).overdue_after, after);
    }
}

#[test]
fn what_is_watched() {
    let read = |text| LambdaSettings::read(lookup(&[TOPIC, TABLE, ("WATCH", text)]));
    let (predictions, imports) = (SourceKind::BatchPredictions, SourceKind::BatchImports);
    for (text, watched) in [
        ("", &[predictions][..]),
        ("batch-predictions", &[predictions]),
        ("batch-imports", &[imports]),
        ("batch-predictions,batch-imports", &[predictions, imports]),
        ("batch-imports,batch-predictions", &[predictions, imports]),
        (
            " batch-imports , batch-predictions ",
            &[predictions, imports],
        ),
    ] {
        let sources = read(text).unwrap().sources;
        assert_eq!(sources, watched.iter().copied().collect(), "{text:?}");
    }
    for text in [
        " ",
        ",",
        "all",
        "imports",
        "Batch-Imports",
        "batch-imports,",
        ",batch-imports",
        "batch-predictions,,batch-imports",
        "batch-predictions;batch-imports",
        "batch-predictions batch-imports",
        "batch-imports,batch-imports",
        "batch-predictions, batch-imports ,batch-predictions",
    ] {
        let invalid = read(text).unwrap_err().to_string();
        let why = format!(
            "WATCH is {text:?}, but must be batch-predictions, batch-imports, or both with a comma"
        );
        assert!(invalid.contains(&why), "{invalid}");
    }
}

#[test]
fn topics() {
    let read = |arn| LambdaSettings::read(lookup(&[("TOPIC_ARN", arn), TABLE])).is_ok();
    assert!(read("arn:aws:sns:eu-west-1:123456789012:fraud-jobs"));
    for arn in [
        "arn:aws:sns:eu-west-1:123456789012:fraud-jobs.fifo",
        "arn:aws:sqs:eu-west-1:123456789012:fraud-jobs",
        "arn:aws:sns::123456789012:fraud-jobs",
        "arn:aws:sns:eu-west-1:1234:fraud-jobs",
        "arn:aws:sns:eu-west-1:123456789012:fraud-jobs:5be8b5d2-subscription",
    ] {
        assert!(!read(arn), "{arn}");
    }
}

/// The table in the README is this one.
#[test]
fn the_readme_and_the_template_have_every_variable() {
    let readme = include_str!("../README.md");
    let template = include_str!("../template.yaml");
    for variable in VARIABLES {
        let default = variable.default.unwrap_or("required");
        let row = format!(
            "| `{}` | {} | {} | {default} |",
            variable.name, variable.meaning, variable.rule
        );
        let row = row.replace(": 3 to 255 letters, digits, `_`, `-` and `.`", "");
        assert!(readme.contains(&row), "README lacks: {row}");
        assert!(
            template.contains(&format!("          {}: !", variable.name)),
            "template lacks {}",
            variable.name
        );
    }
}
