//! Reminders: at doubling intervals of at most a day, or REMIND_AFTER if that is longer.

use fraud_job_watch::watch::Kind;
use jiff::SignedDuration;

use super::super::life::Stage;
use super::silences::is_overdue;
use super::told::{Case, Told};
use super::{DAY, Rule, Violation, broken};

fn interval(first: SignedDuration, reminders: u32) -> SignedDuration {
    let doubled = first.saturating_mul(1 << reminders.min(20));
    doubled.min(DAY.max(first))
}

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for life in 0..case.lives.len() {
        let mut last: Option<(&Told, u32)> = None;
        for told in case.of(life) {
            last = match (told.kind, last) {
                (Kind::Stalled, _) => Some((told, 0)),
                (Kind::Reminder, Some((before, number))) => {
                    found.extend(untimely(case, told, before, number));
                    Some((told, number + 1))
                }
                _ => None,
            };
            if let Some((told, number)) = last {
                found.extend(not_reminded(case, told, number));
            }
        }
    }
    found
}

fn untimely(case: &Case<'_>, told: &Told, before: &Told, number: u32) -> Option<Violation> {
    let policy = &case.run(told).policy;
    let passed = told.at.duration_since(before.at);
    let counted = told.silence.as_ref().and_then(|silence| silence.reminder);
    let why = match policy.remind_after {
        None => "there is no REMIND_AFTER".to_owned(),
        Some(first) if passed < interval(first, number) => format!("{passed:#} after the last"),
        Some(_) if !policy.notify_on.contains(&Kind::Stalled) => "stalls are not told".to_owned(),
        Some(_) if counted != Some(number + 1) => format!("it is number {counted:?}"),
        Some(_) => return None,
    };
    Some(broken(
        Rule::Reminders,
        format!("{}: {why}", case.name(told)),
    ))
}

/// Whether the next reminder is missing: the second run that should tell it leaves no excuse.
fn not_reminded(case: &Case<'_>, told: &Told, number: u32) -> Option<Violation> {
    let next = case
        .of(told.life)
        .find(|next| next.at > told.at)
        .map(|next| next.at);
    let mut due = 0;
    for run in &case.ledger.runs {
        let Some(look) = run.look(told.life).filter(|look| look.at > told.at) else {
            continue;
        };
        // A run beside it may have told it meanwhile.
        if next.is_some_and(|next| next <= run.ended.unwrap_or(look.at).max(look.at)) {
            return None;
        }
        let passed = look.at.duration_since(told.at);
        let is_due = run
            .policy
            .remind_after
            .is_some_and(|first| passed > interval(first, number));
        let runs = case
            .last_known(told.life, run, look.at)
            .is_some_and(Stage::runs);
        if is_due && runs && is_overdue(case, told.life, run, look) {
            due += 1;
        }
        if due > 1 {
            let id = case.lives[told.life].id;
            let what = format!(
                "job {id} was last told of at {}, and not reminded of",
                told.at
            );
            return Some(broken(Rule::Reminders, what));
        }
    }
    None
}
