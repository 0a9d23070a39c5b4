//! The variables that an operator sets: one table, read once, all faults reported together.

use std::collections::BTreeSet;
use std::fmt;

use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::message::WatchName;
use crate::watch::{ExpectFault, Expectations, Kind, OverdueAfter, Policy, SourceKind, TopicArn};

/// A variable: what it is for, and what holds when it is empty or not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub meaning: &'static str,
    /// The rule for its value.
    pub rule: &'static str,
    /// What holds without it; `None` if it is required.
    pub default: Option<&'static str>,
    /// A good value.
    pub example: &'static str,
}

/// Every variable there is.
pub const VARIABLES: [Variable; 13] = [
    TOPIC_ARN,
    URGENT_TOPIC_ARN,
    ALARM_TOPIC_ARN,
    STATE_TABLE,
    WATCH,
    WATCH_NAME,
    STALL_AFTER,
    REMIND_AFTER,
    OVERDUE_AFTER,
    EXPECT,
    NOTIFY_ON,
    DIGEST_ABOVE,
    DETAILED_METRICS,
];

const TOPIC_ARN: Variable = Variable {
    name: "TOPIC_ARN",
    meaning: "the SNS topic to publish to, in the region that it names",
    rule: "the ARN of a standard topic",
    default: None,
    example: "arn:aws:sns:eu-west-1:123456789012:fraud-jobs",
};
const URGENT_TOPIC_ARN: Variable = Variable {
    name: "URGENT_TOPIC_ARN",
    meaning: "a topic for what somebody should look at: failed, stalled, ended, vanished, missing and reminders go there instead, and what closes them goes there too",
    rule: "the ARN of a standard topic",
    default: Some("none"),
    example: "arn:aws:sns:eu-west-1:123456789012:fraud-jobs-urgent",
};
const ALARM_TOPIC_ARN: Variable = Variable {
    name: "ALARM_TOPIC_ARN",
    meaning: "the topic that alarms go to; the function counts its subscribers, and reports if there are none",
    rule: "the ARN of a standard topic",
    default: Some("none"),
    example: "arn:aws:sns:eu-west-1:123456789012:fraud-jobs-alarms",
};
const STATE_TABLE: Variable = Variable {
    name: "STATE_TABLE",
    meaning: "the DynamoDB table that keeps the state",
    rule: "a table's name: 3 to 255 letters, digits, `_`, `-` and `.`",
    default: None,
    example: "fraud-job-watch",
};
/// What is watched; the preview has it too.
pub const WATCH: Variable = Variable {
    name: "WATCH",
    meaning: "what is watched: batch prediction jobs, batch imports, or both",
    rule: "batch-predictions, batch-imports, or both with a comma",
    default: Some("batch-predictions"),
    example: "batch-predictions,batch-imports",
};
const WATCH_NAME: Variable = Variable {
    name: "WATCH_NAME",
    meaning: "leads every subject, as `[name]`",
    rule: "1 to 40 printable ASCII characters without [ and ]",
    default: Some("none"),
    example: "payments prod",
};
const STALL_AFTER: Variable = Variable {
    name: "STALL_AFTER",
    meaning: "how long an active job may show no sign of life before it is called stalled",
    rule: "a duration from 1m to 30d",
    default: Some("1h"),
    example: "1h30m",
};
const REMIND_AFTER: Variable = Variable {
    name: "REMIND_AFTER",
    meaning: "when a stall is reported again, and then at intervals that double up to a day (or up to REMIND_AFTER, if that is longer)",
    rule: "`off`, or a duration from 1m to 30d",
    default: Some("4h"),
    example: "8h",
};
const OVERDUE_AFTER: Variable = Variable {
    name: "OVERDUE_AFTER",
    meaning: "how long an active job may take before it is called overdue; `auto` is three times what jobs like it took",
    rule: "`auto`, `off`, or a duration from 1m to 30d",
    default: Some("auto"),
    example: "6h",
};
const EXPECT: Variable = Variable {
    name: "EXPECT",
    meaning: "by when which detectors are to have completed a job; what has not is reported as missing",
    rule: "entries `DETECTOR [from HH:MM] by HH:MM [DAYS] [ZONE]` with `;`, at most 2000 bytes in all",
    default: Some("none"),
    example: "payments_detector from 22:00 by 07:00 MON-FRI Europe/Dublin",
};
const NOTIFY_ON: Variable = Variable {
    name: "NOTIFY_ON",
    meaning: "what is reported; what closes an earlier report always is, recovered included",
    rule: "some of completed, failed, stalled, recovered, canceled, ended, vanished and overdue, with commas",
    default: Some("completed,failed,stalled,recovered,ended,vanished,overdue"),
    example: "failed,stalled",
};

const DIGEST_ABOVE: Variable = Variable {
    name: "DIGEST_ABOVE",
    meaning: "how many notices to one topic a run may publish one by one; more become a digest",
    rule: "a number from 1 to 1000",
    default: Some("5"),
    example: "10",
};
const DETAILED_METRICS: Variable = Variable {
    name: "DETAILED_METRICS",
    meaning: "whether jobs by status, notices by kind, pages and run time are metrics as well",
    rule: "`on` or `off`",
    default: Some("off"),
    example: "on",
};

/// What the Lambda's variables say.
#[derive(Clone, Debug, PartialEq)]
pub struct LambdaSettings {
    /// Where messages go.
    pub topic: TopicArn,
    /// Where errors go instead.
    pub urgent_topic: Option<TopicArn>,
    /// Where alarms go, of whose subscribers there should be some.
    pub alarm_topic: Option<TopicArn>,
    /// Where the state is kept.
    pub table: String,
    /// What is watched: at least one.
    pub sources: BTreeSet<SourceKind>,
    /// Whether more is measured than what alarms need.
    pub detailed_metrics: bool,
    /// What is reported, and when.
    pub watch: WatchSettings,
}

/// The part of the settings that decides what is reported: the preview has it too.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchSettings {
    /// Leads every subject.
    pub name: Option<WatchName>,
    /// What is reported, and when.
    pub policy: Policy,
    /// How many notices to one topic go out one by one; more become a digest.
    pub digest_above: usize,
}

/// A variable that is missing or does not follow its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable.
    pub variable: Variable,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is missing.
    Missing,
    /// It has this value.
    Value(String),
    /// EXPECT has this in it.
    Expect(ExpectFault),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Variable {
            name,
            rule,
            example,
            ..
        } = self.variable;
        match &self.wrong {
            Wrong::Missing => write!(f, "{name} is not set")?,
            Wrong::Value(value) => write!(f, "{name} is {value:?}")?,
            Wrong::Expect(fault) => return write!(f, "{name}: {fault}"),
        }
        write!(f, ", but must be {rule}, like {example:?}")
    }
}

/// All that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsInvalid(pub Vec<Fault>);

impl fmt::Display for SettingsInvalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&faults.join("; "))
    }
}

impl std::error::Error for SettingsInvalid {}

impl LambdaSettings {
    /// Reads all variables. An empty value counts as not set.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsInvalid> {
        read(lookup, |reader| {
            let topic = reader.take(TOPIC_ARN, topic_arn);
            let urgent_topic = reader.take(URGENT_TOPIC_ARN, topic_arn_or_none);
            let alarm_topic = reader.take(ALARM_TOPIC_ARN, topic_arn_or_none);
            let table = reader.take(STATE_TABLE, table_name);
            let sources = reader.take(WATCH, SourceKind::parse_set);
            let watch = reader.watch();
            let detailed_metrics = reader.take(DETAILED_METRICS, |text| match text {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            });
            Some(Self {
                topic: topic?,
                urgent_topic: urgent_topic?,
                alarm_topic: alarm_topic?,
                table: table?,
                sources: sources?,
                detailed_metrics: detailed_metrics?,
                watch: watch?,
            })
        })
    }
}

impl WatchSettings {
    /// The part of them that concerns a source.
    pub fn of_source(&self, source: SourceKind) -> Self {
        Self {
            policy: self.policy.of_source(source),
            ..self.clone()
        }
    }

    /// Reads the variables that decide what is reported. An empty value counts as not set.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsInvalid> {
        read(lookup, Reader::watch)
    }
}

fn read<F, T>(
    lookup: F,
    settings: impl FnOnce(&mut Reader<F>) -> Option<T>,
) -> Result<T, SettingsInvalid> {
    let faults = Vec::new();
    let mut reader = Reader { lookup, faults };
    settings(&mut reader).ok_or(SettingsInvalid(reader.faults))
}

struct Reader<F> {
    lookup: F,
    faults: Vec<Fault>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn take<T>(&mut self, variable: Variable, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.value(variable);
        let parsed = value.as_deref().or(variable.default).and_then(&parse);
        if parsed.is_none() {
            let wrong = value.map_or(Wrong::Missing, Wrong::Value);
            self.faults.push(Fault { variable, wrong });
        }
        parsed
    }

    fn value(&self, variable: Variable) -> Option<String> {
        (self.lookup)(variable.name).filter(|value| !value.is_empty())
    }

    fn expect(&mut self) -> Option<Expectations> {
        let value = self.value(EXPECT).filter(|value| value != "none");
        match Expectations::parse(&value.unwrap_or_default()) {
            Ok(expectations) => Some(expectations),
            Err(faults) => {
                self.faults.extend(faults.into_iter().map(|fault| Fault {
                    variable: EXPECT,
                    wrong: Wrong::Expect(fault),
                }));
                None
            }
        }
    }

    fn watch(&mut self) -> Option<WatchSettings> {
        let name = self.take(WATCH_NAME, |text| match text {
            "none" => Some(None),
            text => text.parse().ok().map(Some),
        });
        let stall_after = self.take(STALL_AFTER, duration);
        let remind_after = self.take(REMIND_AFTER, |text| match text {
            "off" => Some(None),
            text => duration(text).map(Some),
        });
        let overdue_after = self.take(OVERDUE_AFTER, |text| match text {
            "auto" => Some(OverdueAfter::Auto),
            "off" => Some(OverdueAfter::Off),
            text => duration(text).map(OverdueAfter::After),
        });
        let expect = self.expect();
        let notify_on = self.take(NOTIFY_ON, kinds);
        let digest_above = self.take(DIGEST_ABOVE, |text| {
            let number = text.trim().parse().ok()?;
            (1..=1000).contains(&number).then_some(number)
        });
        Some(WatchSettings {
            name: name?,
            policy: Policy {
                stall_after: stall_after?,
                remind_after: remind_after?,
                notify_on: notify_on?,
                overdue_after: overdue_after?,
                expect: expect?,
            },
            digest_above: digest_above?,
        })
    }
}

fn topic_arn(text: &str) -> Option<TopicArn> {
    TopicArn::try_from(text.to_owned()).ok()
}

fn topic_arn_or_none(text: &str) -> Option<Option<TopicArn>> {
    match text {
        "none" => Some(None),
        text => topic_arn(text).map(Some),
    }
}

fn table_name(text: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    ((3..=255).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
}

fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.trim().parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let (least, most) = (
        SignedDuration::from_mins(1),
        SignedDuration::from_hours(30 * 24),
    );
    (least..=most).contains(&duration).then_some(duration)
}

fn kinds(text: &str) -> Option<BTreeSet<Kind>> {
    text.split(',')
        .map(|name| Kind::choices().find(|kind| kind.as_str() == name.trim()))
        .collect()
}
